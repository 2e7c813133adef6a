"""The adapter of the port `Objects` on S3, and the shipped fake."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

_BATCH = 1000


class S3Objects:
    """A bucket through boto3, which is loaded at the first use: most erasures find nothing there, but all must look."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket
        self._made: Any = None

    @property
    def _client(self) -> Any:
        if self._made is None:
            import boto3

            self._made = boto3.client("s3")
        return self._made

    def list(self, prefix: str) -> list[str]:
        """See Objects."""
        found = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        return [entry["Key"] for page in found for entry in page.get("Contents", ())]

    def delete(self, keys: Iterable[str]) -> None:
        """See Objects. An object that S3 could not delete is an error."""
        todo = list(keys)
        for start in range(0, len(todo), _BATCH):
            batch = {"Objects": [{"Key": key} for key in todo[start : start + _BATCH]], "Quiet": True}
            if self._client.delete_objects(Bucket=self._bucket, Delete=batch).get("Errors"):
                raise NotDeleted


class NotDeleted(Exception):
    """S3 could not delete an object."""

    def __init__(self) -> None:
        super().__init__("an object was not deleted")


class MemoryObjects:
    """A bucket in memory."""

    def __init__(self) -> None:
        self.keys: set[str] = set()

    def list(self, prefix: str) -> list[str]:
        """See Objects."""
        return sorted(key for key in self.keys if key.startswith(prefix))

    def delete(self, keys: Iterable[str]) -> None:
        """See Objects."""
        self.keys -= set(keys)
