"""What the workflows ask of the tables lies within what their roles may: no local stack enforces IAM, so nothing else
would find an action that is missing before AWS does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from chatapi.catalogue import Catalogued
from chatapi.store.consents import Consents
from chatapi.store.holds import Holds
from chatapi.store.marks import Marks
from chatapi.store.webhooks import Webhooks
from privacy.choosing.tasks import Ports as Choosing
from privacy.choosing.tasks import run as follow
from privacy.requests import Wish, complete
from privacy.webhooks import Teller
from tests.template.resources import statements
from tests.unit.privacy.test_restoring import asked, copied, lived, put
from tests.unit.privacy.test_webhooks import Hook
from tests.unit.privacy.world import ALICE, BOB, PROJECT, Breaker, World

# chatapi.store.dynamo, method by method; `fold` is a transaction of a delete and an update
TABLE = {
    "get": {"GetItem"},
    "get_all": {"BatchGetItem"},
    "put": {"PutItem"},
    "put_all": {"BatchWriteItem"},
    "delete_all": {"BatchWriteItem"},
    "update": {"UpdateItem"},
    "apply": {"UpdateItem"},
    "fold": {"DeleteItem", "UpdateItem"},
    "query": {"Query"},
    "page": {"Query"},
}
POLICIES = {"erase": "ErasurePolicy", "export": "RightsPolicy", "change": "ChangesPolicy"}


class Watching(Breaker):
    """Notes what is asked of the stores by the tasks, and by them alone: it is what their ports are wrapped in."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.role = ""
        self.used: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._tables: dict[int, str] = {
            id(world.requests): "RequestsTable",
            id(world.records): "RecordsTable",
            id(world.chain): "LedgerTable",
        }
        self._wraps = id(world.wraps)

    def wrap(self, target: Any) -> Any:
        return _Watched(self, target)

    def note(self, target: Any, method: str) -> None:
        if id(target) == self._wraps:  # chatapi.vault.dynamo: an item is read, or put as a whole
            self.used[self.role, "VaultTable"].add("GetItem" if method == "get" else "PutItem")
        elif (table := self._tables.get(id(target))) is not None:
            self.used[self.role, table] |= TABLE[method]


class _Watched:
    def __init__(self, watching: Watching, target: Any) -> None:
        self._watching, self._target = watching, target

    def __getattr__(self, name: str) -> Callable[..., Any]:
        found: Callable[..., Any] = getattr(self._target, name)

        def called(*args: Any, **kwargs: Any) -> Any:
            self._watching.note(self._target, name)
            return found(*args, **kwargs)

        return called


def granted() -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for name, statement in statements():
        actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        if "Fn::GetAtt" in statement["Resource"]:
            table = statement["Resource"]["Fn::GetAtt"][0]
            found[name, table] |= {a.removeprefix("dynamodb:") for a in actions if a.startswith("dynamodb:")}
    return found


def test_copies_changes_re_imports_and_erasures_ask_for_nothing_that_their_roles_may_not() -> None:
    # given a person with a history of every kind, and a watch over what the tasks do
    world = World()
    watching = world.breaker = Watching(world)
    world.ports = world._ports()
    ids = lived(world)
    world.store(BOB)
    world.hold(BOB)

    def changed(number: int, **wish: Any) -> str:
        target, facts = world.asking.prepare(PROJECT, ALICE, complete(Wish.model_validate(wish)))
        name, now = f"dsr_{number:024d}", world.clock.now()
        case = world.cases.create(PROJECT, name, wish["type"], ALICE, now, target=target, **facts)
        return world.change(case)[-1]

    # when every workflow runs
    watching.role = POLICIES["change"]
    text = {"record": ids["completion"], "path": "/messages/0/content", "value": "right"}
    assert changed(1, type="correction", changes=[text]) == "Done"
    assert changed(2, type="completion", statements=[{"record": ids["conversation"], "text": "said"}]) == "Done"
    assert changed(3, type="restriction", restricted=True) == "Done"
    assert changed(4, type="restriction", restricted=False) == "Done"
    assert changed(5, type="objection", purpose="improvement") == "Done"
    watching.role = POLICIES["export"]
    copy = copied(world)
    watching.role = POLICIES["erase"]
    assert world.erase(world.case())[-1] == "Erased"
    assert world.erase(world.case(BOB, "dsr_" + "2" * 24))
    watching.role = POLICIES["change"]
    put(world, copy)
    assert world.change(asked(world))[-1] == "Done"
    # and what follows a choice, whose withdrawal meets a hold of the other name
    watching.role = "ConsentPolicy"
    consents = Consents(Catalogued(watching.wrap(world.requests), "requests"))
    requests, records = (
        Catalogued(watching.wrap(table), name)
        for table, name in ((world.requests, "requests"), (world.records, "records"))
    )
    teller = Teller(Webhooks(requests, lambda: b"w" * 86), Hook(200))
    choosing = Choosing(
        consents,
        records,
        Marks(requests, world.clock),
        watching.wrap(world.wraps),
        world.signer,
        teller,
        world.clock,
        Holds(requests),
    )
    handle = world.kept.writer(PROJECT, ALICE)
    watching.role = ""
    world.kept.put(handle, "sample", [("smp_" + "0" * 24, b"{}")])
    row = Consents(Catalogued(world.requests, "requests")).choose(
        PROJECT, ALICE, "improvement", "granted", world.clock.now()
    )
    row = Consents(Catalogued(world.requests, "requests")).choose(
        PROJECT, ALICE, "improvement", "withdrawn", world.clock.now()
    )
    watching.role = "ConsentPolicy"
    for task in ("apply", "sign", "tell"):
        follow(choosing, task, PROJECT, ALICE, "improvement", row["rev"])
    # then each did something with each store that is its own, and nothing that it may not
    missing = {place: used - granted()[place] for place, used in watching.used.items() if place[0]}
    assert {role for role, _ in watching.used if role} == {*POLICIES.values(), "ConsentPolicy"}
    assert {place: actions for place, actions in missing.items() if actions} == {}
    assert "BatchGetItem" in watching.used["ChangesPolicy", "RecordsTable"]
    assert "PutItem" in watching.used["ErasurePolicy", "RecordsTable"]  # what the hold keeps, sealed anew
