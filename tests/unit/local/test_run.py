"""The directory of a stack: its own, because files are removed there."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.errors import LocalError, Refused
from local.run import own_directory
from local.settings import LOCK


def test_a_new_directory_is_made_for_the_user_alone(tmp_path: Path) -> None:
    home = tmp_path / "a" / "b"

    own_directory(home)

    assert home.stat().st_mode & 0o777 == 0o700


def test_a_directory_of_an_earlier_stack_is_taken_again(tmp_path: Path) -> None:
    (tmp_path / LOCK).touch()
    (tmp_path / "logs").mkdir()

    own_directory(tmp_path)


def test_a_directory_with_other_files_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    tmp_path.chmod(0o755)

    with pytest.raises(Refused, match="LOCAL must name a directory of its own"):
        own_directory(tmp_path)

    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(LocalError, match="LOCAL cannot be"):
        own_directory(tmp_path / "file" / "home")
