"""An archive from anybody at all is looked at without unpacking more than an export can have."""

from __future__ import annotations

import io
import tracemalloc
import zipfile

import pytest

from chatapi.archives import findings

_STATED, _HELD, _MOST = 2, 30_000_000, 4_000_000


def understated(compression: int) -> bytes:
    """An archive whose manifest has two bytes by its own word, and thirty million when it is unpacked."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        archive.writestr("manifest.json", b"{}" + b" " * (_HELD - 2))
    held, stated = _HELD.to_bytes(4, "little"), _STATED.to_bytes(4, "little")
    assert out.getvalue().count(held) == 2  # before the file itself, and in the directory
    return out.getvalue().replace(held, stated)


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compression_that_unpacks_more_than_it_is_asked_to_is_not_unpacked(compression: int) -> None:
    with zipfile.ZipFile(io.BytesIO(understated(compression))) as archive:
        tracemalloc.start()
        try:
            with pytest.raises(zipfile.BadZipFile):
                findings(archive, {"keys": []})
            assert tracemalloc.get_traced_memory()[1] < _MOST
        finally:
            tracemalloc.stop()


def test_what_is_deflated_is_unpacked_as_far_as_it_is_asked_to() -> None:
    with zipfile.ZipFile(io.BytesIO(understated(zipfile.ZIP_DEFLATED))) as archive:
        tracemalloc.start()
        try:
            with pytest.raises(zipfile.BadZipFile):  # the sum of the whole is another one
                findings(archive, {"keys": []})
            assert tracemalloc.get_traced_memory()[1] < _MOST
        finally:
            tracemalloc.stop()
