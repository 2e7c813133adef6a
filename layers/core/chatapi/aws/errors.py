"""What can go wrong when AWS is called.

::

    AwsError                 AWS answered, and refused
    └── AwsUnavailable       no answer, a 5xx, a throttle or no credentials: the same call may work later

    TransportError           one exchange over HTTP failed (what the client retries, then turns into AwsUnavailable)

AWS's own messages may quote keys and values, so none is kept: the text is fixed, plus AWS's error code.
"""

from __future__ import annotations

TYPE_CHECKING = False  # the type checker knows this name; importing typing would cost more than this package
if TYPE_CHECKING:
    from typing import Any


class AwsError(Exception):
    """AWS refused a call.

    ``code`` is AWS's, for example ``ConditionalCheckFailedException``; ``status`` the HTTP status, 0 without an answer.
    ``item`` is the item, in DynamoDB's wire form (see :mod:`chatapi.aws.av`), that a failed condition returned under
    ``ReturnValuesOnConditionCheckFailure: ALL_OLD``. ``reasons`` holds one code for each action of a cancelled
    transaction, ``"None"`` for the innocent ones (DynamoDB API reference, "TransactWriteItems").
    """

    text = "AWS refused the call"

    def __init__(
        self,
        code: str,
        status: int = 0,
        *,
        item: dict[str, Any] | None = None,
        reasons: tuple[str, ...] = (),
    ) -> None:
        super().__init__(f"{self.text}: {code}")
        self.code = code
        self.status = status
        self.item = item
        self.reasons = reasons


class AwsUnavailable(AwsError):
    """AWS could not be reached, failed, or asked to slow down, and went on doing so through every attempt.

    Codes of its own: ``ConnectionFailed``, ``Timeout``, ``InvalidResponse``, ``CredentialsMissing``.
    A write that ended so may have happened.
    """

    text = "AWS is unavailable"


class TransportError(Exception):
    """An exchange failed. ``sent`` tells whether the peer may have acted on it; ``timed_out`` what it died of."""

    def __init__(self, *, sent: bool, timed_out: bool) -> None:
        super().__init__("the connection timed out" if timed_out else "the connection failed")
        self.sent = sent
        self.timed_out = timed_out
