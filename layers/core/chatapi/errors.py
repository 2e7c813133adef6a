"""One error tree, one shape.

    ApiError                      status  type                   code
    ├── BadRequest                400     invalid_request_error  invalid_json, invalid_type, empty_array, …
    ├── InvalidApiKey             401     invalid_request_error  invalid_api_key
    ├── Forbidden                 403     permission_error       insufficient_scope, retention_not_permitted,
    │                                                            processing_restricted, …
    ├── NotFound                  404     invalid_request_error  not_found, model_not_found
    ├── Conflict                  409     invalid_request_error  request_not_cancellable, …
    ├── SubjectErased             410     invalid_request_error  subject_erased
    ├── RequestTooLarge           413     invalid_request_error  request_too_large
    ├── RateLimited               429     rate_limit_error       rate_limit_exceeded, insufficient_quota
    ├── InternalError             500     server_error           internal_error
    │   └── RedactionFailed       500     server_error           redaction_failed
    └── Unavailable               503     server_error           service_unavailable
        ├── StoreFailed           503     server_error           store_failed
        └── ModelMisconfigured    503     server_error           model_misconfigured

The wire shape is OpenAI's: `{"error": {"message", "type", "param", "code"}}`, all four keys always there (clients read
`.code` and `.type`). Messages are fixed texts of this file and of the routes: nothing a user sent is ever in one, and
`param` is a path into the request built from field names that the product knows and from indexes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping


class ApiError(Exception):
    """A refusal that a caller sees: status, type, code, a fixed message, the parameter it is about, extra headers."""

    status = 500
    type = "server_error"
    code: str | None = "internal_error"
    message = "The server had an error while processing the request."

    def __init__(
        self,
        message: str | None = None,
        *,
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.message = message or self.message
        self.code = code or self.code
        self.param = param
        self.headers = dict(headers or {})
        super().__init__(self.message)

    def payload(self) -> dict[str, dict[str, str | None]]:
        """The wire shape as a dictionary. Texts that fit any parameter name theirs: SDKs print the text alone."""
        named = self.param is not None and (self.message in _OF_ANY or self.message.startswith(MUST))
        message = f"{self.message[:-1]}: {self.param}." if named else self.message
        return {"error": {"message": message, "type": self.type, "param": self.param, "code": self.code}}

    def body(self) -> bytes:
        """The wire shape as JSON."""
        return json.dumps(self.payload(), separators=(",", ":")).encode()


MUST = "The value must "
"""How a text begins that says what a parameter's value must be."""
_OF_ANY = frozenset(
    {
        "A required parameter is missing.",
        "No model here supports this parameter.",
        "The array is empty.",
        "The model does not accept this request.",
        "The model does not support this parameter.",
        "The parameter has the wrong type.",
        "The parameter's value is not supported here.",
        "The request has a parameter that is not known.",
    }
)


class BadRequest(ApiError):
    """400: the request is not what the route takes."""

    status = 400
    type = "invalid_request_error"
    code = "invalid_request"
    message = "The request is not valid."


class InvalidApiKey(ApiError):
    """401: no key, or one that is wrong, expired or revoked. All three look the same from outside."""

    status = 401
    type = "invalid_request_error"
    code = "invalid_api_key"
    message = "Incorrect API key provided. Pass a valid key as 'Authorization: Bearer KEY'."


class Forbidden(ApiError):
    """403: the key is good, the act is not permitted to it."""

    status = 403
    type = "permission_error"
    code = "insufficient_scope"
    message = "This API key does not have the scope that this route needs."


class RetentionNotPermitted(Forbidden):
    """403: the project's or key's retention setting does not allow content to be stored (commitment MSG-2)."""

    code = "retention_not_permitted"
    message = (
        "This project does not permit stored completions. Omit 'store' or ask the project's owner to enable history."
    )

    def __init__(self, param: str = "store") -> None:
        super().__init__(param=param)


class AddressNotAllowed(Forbidden):
    """403: the key has an allow-list of addresses, and the caller's is not on it (docs/keys.md)."""

    code = "address_not_allowed"
    message = "This API key may not be used from this address."


class ProcessingRestricted(Forbidden):
    """403: the data subject had the processing of what is stored restricted (GDPR Art. 18): it is kept, not used."""

    code = "processing_restricted"
    message = "The processing of this data subject's stored data is restricted. It is kept, and not used until lifted."


class NotFound(ApiError):
    """404: no such thing, or not yours; the two are not told apart."""

    status = 404
    type = "invalid_request_error"
    code = "not_found"
    message = "No such resource."


class ModelNotFound(NotFound):
    """404: the model is unknown here."""

    code = "model_not_found"
    message = "The model does not exist or you do not have access to it. See GET /v1/models."

    def __init__(self) -> None:
        super().__init__(param="model")


class Conflict(ApiError):
    """409: its state does not allow this. Waiting does not help, so clients are told not to retry."""

    status = 409
    type = "invalid_request_error"
    code = "conflict"
    message = "The resource is in a state that does not allow this."

    def __init__(self, message: str | None = None, *, code: str | None = None) -> None:
        super().__init__(message, code=code, headers={"x-should-retry": "false"})


class SubjectErased(ApiError):
    """410: the data subject's key was destroyed; what is left of the record cannot be read by anyone."""

    status = 410
    type = "invalid_request_error"
    code = "subject_erased"
    message = "The data subject of this record was erased."


class RequestTooLarge(ApiError):
    """413: the body is above the limit."""

    status = 413
    type = "invalid_request_error"
    code = "request_too_large"
    message = "The request body is larger than 4 MiB."


class RateLimited(ApiError):
    """429: a limit is reached."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"
    message = "Rate limit reached. Try again after the time in the retry-after header."


class InternalError(ApiError):
    """500: a fault of ours."""


class RedactionFailed(InternalError):
    """500: redaction is demanded and did not work (docs/redaction.md). It would not work again, so clients are told not
    to retry by themselves."""

    code = "redaction_failed"

    def __init__(self, message: str = "The request could not be redacted, so nothing was sent to a provider.") -> None:
        super().__init__(message, headers={"x-should-retry": "false"})


class Unavailable(ApiError):
    """503: something this request needs does not answer. Safe to try again."""

    status = 503
    code = "service_unavailable"
    message = "The service is temporarily unavailable. Try again."

    def __init__(self, message: str | None = None, *, retry_after: int = 1) -> None:
        super().__init__(message, headers={"retry-after": str(retry_after)})


class StoreFailed(Unavailable):
    """503: the answer was generated and settled, and could not be kept as the request demands. Trying again would
    generate it anew, so clients are told not to do it by themselves."""

    code = "store_failed"

    def __init__(self) -> None:
        super().__init__("The answer was generated and could not be stored. What was used is settled.")
        self.headers["x-should-retry"] = "false"


class ModelMisconfigured(Unavailable):
    """503: the provider does not let the operator in, or does not know the model. Clients are told not to retry."""

    code = "model_misconfigured"

    def __init__(self) -> None:
        super().__init__(
            "The model's provider refuses this service's access: its operator has to act. Nothing was charged."
        )
        self.headers = {"x-should-retry": "false"}
