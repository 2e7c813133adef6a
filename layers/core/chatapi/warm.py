"""What a warm function keeps: made at its first request, never at init, and once for each process.

Lambda freezes what init leaves in memory (SnapStart), so no client and no secret is made there (AWS Lambda Developer
Guide, "Improving startup performance with Lambda SnapStart").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Warm(Generic[T]):
    """A composition root, as a decorator of the function that makes it. Calling it gives what was made at the first
    call; where that failed, the next call tries again. Tests put a fake into `made`, or None to begin anew."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self.made: T | None = None

    def __call__(self) -> T:
        """What the function keeps."""
        if self.made is None:
            self.made = self._make()
        return self.made
