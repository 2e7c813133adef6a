"""Secrets Manager, one secret per purpose, read lazily and once per warm function.

Nothing is read at import: what init leaves in memory is frozen into a SnapStart snapshot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chatapi.aws.calling import Caller


class Secrets:
    """Reads secrets by ARN through a lean client (AWS Secrets Manager API, GetSecretValue)."""

    def __init__(self, client: Caller) -> None:
        self._client = client
        self._known: dict[str, bytes] = {}

    def get(self, arn: str, *, fresh: bool = False) -> bytes:
        """The secret's value as bytes; `fresh`, as it is now. The client's errors pass: without its secret a function
        fails closed."""
        known = None if fresh else self._known.get(arn)
        if known is None:
            known = str(self._client.call("GetSecretValue", {"SecretId": arn})["SecretString"]).encode()
            self._known[arn] = known
        return known
