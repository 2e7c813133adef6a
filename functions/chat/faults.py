"""Whatever goes wrong becomes a refusal in the one shape, before an answer has begun and in mid-stream alike."""

from __future__ import annotations

from chatapi.aws.errors import AwsError
from chatapi.errors import ApiError, InternalError, Unavailable
from chatapi.logs import log_error


def refusal_of(error: Exception, request_id: str = "") -> ApiError:
    """What the caller is told of `error`. Faults of ours are logged, by type, place and AWS's code."""
    if isinstance(error, ApiError):
        if error.status >= 500:
            log_error("refused", error, function="chat", request_id=request_id, code=error.code, status=error.status)
        return error
    if isinstance(error, AwsError):
        log_error("failed", error, function="chat", request_id=request_id, code=error.code)
        return Unavailable()
    log_error("failed", error, function="chat", request_id=request_id)
    return InternalError()
