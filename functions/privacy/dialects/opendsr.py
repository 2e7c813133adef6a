"""OpenDSR 2.0 (github.com/opengdpr/OpenDSR, specification.md): a project's own requests in the words of its tools.

The project is the controller, we are its processor. One identity type is ours to look up: `controller_customer_id`,
raw, which is the `user` value of the project's chats; a hash of it leads nowhere, since only a keyed hash is kept.

    OpenDSR       case                                    what OpenDSR has no word for stands in
    pending       received, on_hold (identity)            extensions.DOMAIN: {request, status, reason, explanation}
    in_progress   in_progress, failed (it goes on),
                  on_hold (a legal hold keeps a part)
    completed     completed
    cancelled     cancelled, denied
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from pydantic import ConfigDict, Field

from chatapi.aws.errors import AwsError
from chatapi.bodies import parsed
from chatapi.certificates import Signer
from chatapi.clock import Clock, iso
from chatapi.errors import BadRequest, Conflict, NotFound
from chatapi.outbound import BadUrl, Outbound
from chatapi.store.case_states import CANCELLED, CLOSED, COMPLETED, FAILED, IN_PROGRESS
from chatapi.store.cases import Case
from chatapi.strict import Strict
from privacy.dialects.bindings import OPENDSR, Binding, Bindings
from privacy.dialects.certificate import der_signature, self_signed
from privacy.explanations import explained
from privacy.requests import MAX_BODY_BYTES, OFFERED, PrivacyRequest, Subject
from privacy.service import Rights

API_VERSION = "2.0"
PREFIX = "/v1/privacy/opendsr/v2"
CERTIFICATE_PATH = "/.well-known/opendsr.pem"
IDENTITY = {"identity_type": "controller_customer_id", "identity_format": "raw"}
TYPES = ("access", "portability", "erasure")
MAX_CALLBACKS = 4
_DOMAINS = 8
_UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")


class _Open(Strict):
    model_config = ConfigDict(extra="ignore")  # fields that a later 2.x adds are not refused


class Identity(_Open):
    """Section 5.3."""

    identity_type: Annotated[str, Field(max_length=64, json_schema_extra={"const": IDENTITY["identity_type"]})]
    identity_value: Annotated[
        str, Field(min_length=1, max_length=512, description="The user value of the project's chats")
    ]
    identity_format: Annotated[str, Field(max_length=16, json_schema_extra={"const": IDENTITY["identity_format"]})]


Callback = Annotated[str, Field(json_schema_extra={"format": "uri"}, description="https to a public DNS name")]


class Body(_Open):
    """Section 7.1.1. `extensions` of other processors are not read."""

    regulation: Annotated[str, Field(pattern="^(gdpr|ccpa)$", json_schema_extra={"enum": ["gdpr", "ccpa"]})]
    subject_request_id: Annotated[
        str, Field(max_length=64, json_schema_extra={"format": "uuid"}, description="Version 4, in lower case")
    ]
    subject_request_type: Annotated[str, Field(max_length=64, json_schema_extra={"enum": [*TYPES]})]
    subject_identities: Annotated[list[Identity], Field(min_length=1, max_length=16)]
    submitted_time: Annotated[str, Field(max_length=40, json_schema_extra={"format": "date-time"})]
    api_version: Annotated[str, Field(pattern=r"^2(\.\d{1,3}){0,2}$")] = API_VERSION
    status_callback_urls: Annotated[list[Callback], Field(max_length=MAX_CALLBACKS, default_factory=list)]


_FIELDS = frozenset([*Body.model_fields, *Identity.model_fields])


class Starter(Protocol):
    """Starts the execution that follows a request and calls back."""

    def follow(self, binding: Binding) -> None:
        """Start it; once is enough. AwsError where it was not started."""
        ...


@dataclass(frozen=True)
class Origin:
    """Where a request arrived: the domain that the answer's signature is for, and the URL of the API's root."""

    domain: str
    root: str


class OpenDsr:
    """The dialect. `certificate`: a PEM that an authority issued for the signing key, else a self-signed one."""

    def __init__(
        self,
        rights: Rights,
        bindings: Bindings,
        signer: Signer,
        clock: Clock,
        outbound: Outbound,
        starter: Starter,
        *,
        certificate: str = "",
    ) -> None:
        self._rights = rights
        self._bindings = bindings
        self._signer = signer
        self._clock = clock
        self._outbound = outbound
        self._starter = starter
        self._certificate = certificate
        self._made: dict[str, str] = {}

    def discovery(self, origin: Origin) -> dict[str, Any]:
        """Section 6: what is supported, and where the certificate is."""
        return {
            "api_version": API_VERSION,
            "supported_identities": [IDENTITY],
            "supported_subject_request_types": [name for name in TYPES if name in OFFERED],
            "processor_certificate": origin.root + CERTIFICATE_PATH,
        }

    def certificate(self, origin: Origin) -> str:
        """The PEM behind `processor_certificate`."""
        if self._certificate:
            return self._certificate
        if origin.domain not in self._made:
            if len(self._made) >= _DOMAINS:
                self._made.clear()
            self._made[origin.domain] = self_signed(self._signer, origin.domain, self._clock.now())
        return self._made[origin.domain]

    def create(self, project: str, origin: Origin, raw: bytes) -> dict[str, Any]:
        """Section 7: a request. The same id again gives the same case; Conflict for another right or subject."""
        body = self._parse(raw)
        subject = Subject(user=body.subject_identities[0].identity_value)
        external = body.subject_request_id
        request = PrivacyRequest(type=body.subject_request_type, subject=subject)
        try:
            binding = self._bindings.get(project, OPENDSR, external)
        except NotFound:
            # The id is the idempotency key, so a repeat whose first try was cut off in between finds the case.
            case = self._rights.create(project, request, f"{OPENDSR}:{external}")
            binding = self._bindings.bind(
                project,
                OPENDSR,
                external,
                case.id,
                root=origin.root,
                now=self._clock.now(),
                callbacks=body.status_callback_urls,
                told=word(case),
            )
        case = self._rights.get(project, binding.case)
        if (case.type, case.subject) != (request.type, self._rights.pseudonym(project, subject)):
            raise Conflict("This subject_request_id was used for another request.", code="request_id_reused")
        if binding.callbacks:
            self._follow(binding)
        return {
            "controller_id": project,
            "expected_completion_time": iso(int(case.get("due"))),
            "received_time": iso(case.created),
            "encoded_request": base64.b64encode(raw).decode(),
            "subject_request_id": external,
        }

    def status(self, project: str, external: str) -> dict[str, Any]:
        """Section 8: the status of a request."""
        binding = self._bound(project, external)
        return status_of(binding, self._rights.get(project, binding.case))

    def cancel(self, project: str, external: str) -> dict[str, Any]:
        """Section 9: take a request back. Conflict where it has passed the point of no return."""
        binding = self._bound(project, external)
        self._rights.cancel(project, binding.case)
        return {
            "controller_id": project,
            "subject_request_id": external,
            "received_time": iso(self._clock.now()),
            "api_version": API_VERSION,
        }

    def headers(self, origin: Origin, body: bytes) -> dict[str, str]:
        """What every answer carries: the domain, and the signature of the body as it is sent."""
        return signed_headers(self._signer, origin.domain, body)

    def _bound(self, project: str, external: str) -> Binding:
        if not _UUID4.fullmatch(external):
            raise NotFound
        return self._bindings.get(project, OPENDSR, external)

    def _follow(self, binding: Binding) -> None:
        try:
            self._starter.follow(binding)
        except AwsError:
            return  # the request stands; its status can be asked for, and a repeat starts it again

    def _parse(self, raw: bytes) -> Body:
        body = _read(raw)
        if not _UUID4.fullmatch(body.subject_request_id):
            raise _wrong("subject_request_id", "subject_request_id is a UUID of version 4 in lower case.")
        if not _TIME.fullmatch(body.submitted_time):
            raise _wrong("submitted_time", "submitted_time is a date of RFC 3339.")
        if body.subject_request_type not in TYPES or body.subject_request_type not in OFFERED:
            raise BadRequest(
                "This type of request is not supported; see discovery.",
                code="unsupported_type",
                param="subject_request_type",
            )
        known = [(one.identity_type, one.identity_format) for one in body.subject_identities]
        if any(pair != (IDENTITY["identity_type"], IDENTITY["identity_format"]) for pair in known):
            raise BadRequest(
                "The supported identity is controller_customer_id in the format raw: the user value of your chats.",
                code="unsupported_identity",
                param="subject_identities",
            )
        if len({one.identity_value for one in body.subject_identities}) != 1:
            raise BadRequest(
                "A request is about one data subject: send one identity.",
                code="too_many_identities",
                param="subject_identities",
            )
        for url in body.status_callback_urls:
            try:
                self._outbound.check(url)
            except BadUrl:
                raise _wrong("status_callback_urls", "A callback is https to a public DNS name.") from None
        return body


def _read(raw: bytes) -> Body:
    return parsed(Body, raw, known=_FIELDS, most=MAX_BODY_BYTES)


def _wrong(param: str, message: str) -> BadRequest:
    return BadRequest(message, code="invalid_value", param=param)


def signed_headers(signer: Signer, domain: str, body: bytes) -> dict[str, str]:
    """Sections 7.3, 8.3 and 8.6: the domain, and the base64 of an ECDSA signature (DER) over SHA-256 of the body."""
    signature = base64.b64encode(der_signature(signer, body)).decode()
    return {"X-OpenDSR-Processor-Domain": domain, "X-OpenDSR-Signature": signature}


def domain_of(root: str) -> str:
    """The domain of an API's root URL, without a port."""
    return root.partition("://")[2].partition("/")[0].partition(":")[0]


def word(case: Case) -> str:
    """A case's status in OpenDSR's four words (see the table above)."""
    if case.status == COMPLETED:
        return "completed"
    if case.status == CANCELLED or (case.status == FAILED and case.stage == CLOSED):
        return "cancelled"
    if case.status in (IN_PROGRESS, FAILED) or case.waiting:
        return "in_progress"
    return "pending"


def status_of(binding: Binding, case: Case) -> dict[str, Any]:
    """The body of a status and, with its `status_callback_url` added, of a callback."""
    told = explained(case)
    own = {name: told[name] for name in ("reason", "explanation", "complain")}
    shown: dict[str, Any] = {
        "controller_id": binding.project,
        "expected_completion_time": iso(int(case.get("due"))),
        "subject_request_id": binding.external,
        "request_status": word(case),
        "api_version": API_VERSION,
        "extensions": {domain_of(binding.root): {"request": case.id, "status": case.status, **own}},
    }
    if case.status == COMPLETED:
        part = "certificate" if case.type == "erasure" else "export"
        shown["results_url"] = f"{binding.root}/v1/privacy/requests/{case.id}/{part}"
        shown["results_count"] = sum(line["count"] for line in case.get("stores", []) if _found(line))
    return shown


def _found(line: Mapping[str, Any]) -> bool:
    return line.get("outcome") in ("deleted", "shredded", "held")
