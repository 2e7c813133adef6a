"""What composition roots share: which adapter stands behind a store, named as the template names it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from chatapi.aws.calling import Caller
from chatapi.catalogue import Catalogued
from chatapi.clock import Clock
from chatapi.environment import setting
from chatapi.store.dynamo import DynamoTable
from chatapi.warm import Warm

if TYPE_CHECKING:
    from chatapi.vault import Vault

_SORT = {"projects": None, "signals": None, "patterns": None, "ledger": "seq"}
"""Sort keys that are not `sk` (template.yaml)."""


def store_of(client: Caller, name: str, clock: Clock, table: str = "") -> Catalogued:
    """A store of the catalogue: on `table`, or on what the function's setting `{NAME}_TABLE` names."""
    named = table or setting(f"{name.upper()}_TABLE")
    return Catalogued(DynamoTable(client, named, sort=_SORT.get(name, "sk"), now=clock.now), name)


def vault_of(
    dynamodb: Caller, kms: Caller, clock: Clock, table: str = "", key: str = "", *, despite_restriction: bool = False
) -> Vault:
    """The Vault: on `table` under `key`, or what VAULT_TABLE and EPOCH_KEY name. `despite_restriction`: see there."""
    from chatapi.vault import Vault  # loads what encrypts; most functions have no business with it
    from chatapi.vault.dynamo import DynamoWraps
    from chatapi.vault.kms import KmsKeys

    wraps = DynamoWraps(dynamodb, table or setting("VAULT_TABLE"))
    keys = KmsKeys(kms, key or setting("EPOCH_KEY"))
    return Vault(wraps, keys, clock, despite_restriction=despite_restriction)


def vault_when_needed(dynamodb: Caller, kms: Caller, clock: Clock) -> Vault:
    """The same, made when something is first asked of it: for a function that answers most requests without."""
    table, key = setting("VAULT_TABLE"), setting("EPOCH_KEY")  # what is missing is missed at once
    return cast("Vault", _Later(Warm(lambda: vault_of(dynamodb, kms, clock, table, key))))


class _Later:
    def __init__(self, made: Warm[Any]) -> None:
        self._made = made

    def __getattr__(self, name: str) -> Any:
        return getattr(self._made(), name)
