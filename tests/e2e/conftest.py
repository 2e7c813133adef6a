"""One local stack for the whole suite, started on first use and stopped at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.e2e.local_stack import LocalStack, RunningStack, assert_nothing_left
from tests.e2e.person import Person
from tests.e2e.receiver import Receiver
from tests.support.campaign import SCALE


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A start of the stack counts as the time of the first test that asks for it. A campaign takes the time it takes: a
    marker would overrule its `--timeout 0`."""
    for item in items if SCALE == 1 else ():
        if item.path.is_relative_to(__file__.rpartition("/")[0]) and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """The running stack: `stack.info.base_url`, `.api_key` and the other fields of stack.json; `stack.aws(service)`."""
    with LocalStack(tmp_path_factory.mktemp("stack")).start() as running:
        yield running
        groups = running.place.recorded()
        assert running.stop() == 0, running.errors
    assert_nothing_left(running.place, groups)


@pytest.fixture
def person(stack: RunningStack) -> Iterator[Callable[[str], Person]]:
    """Makes people; their connections end with the test."""
    made: list[Person] = []

    def make(name: str) -> Person:
        made.append(Person(stack, name))
        return made[-1]

    yield make
    for one in made:
        one.http.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A server that is called back; it ends with the test."""
    made = Receiver()
    yield made
    made.close()
