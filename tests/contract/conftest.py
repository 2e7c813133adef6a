"""One live stack for the contract suite, started on first use: on moto, or with CHATAPI_LIVE=stack the local stack."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from openai import OpenAI

from tests.support.live_stack import Caller, Live, on_moto, on_the_local_stack
from tests.support.scripted_upstream import ScriptedUpstream

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
