"""A controller's tool speaks OpenDSR 2.0 to the data-rights API: it meets the one model, and signed answers."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

import privacy.handler
from chatapi.aws.errors import AwsUnavailable
from chatapi.catalogue import Catalogued
from chatapi.certificates import MemorySigner
from chatapi.outbound import Outbound
from chatapi.store.cases import Case
from chatapi.vault import project_pepper, subject_id
from chatapi.verdict import Verdict
from privacy.dialects.bindings import Binding, Bindings
from privacy.dialects.certificate import self_signed, signing_request
from privacy.dialects.opendsr import CERTIFICATE_PATH, PREFIX, OpenDsr
from privacy.downloads import Links
from privacy.handler import handler
from privacy.service import Rights
from tests.unit.privacy.api import Downloads
from tests.unit.privacy.world import PROJECT, World

PEPPER = b"p" * 86
ID = "a7551968-d5d6-44b2-9831-815ac9017798"
HOST = "api.example.org"


def request(**changes: Any) -> dict[str, Any]:
    body = {
        "regulation": "gdpr",
        "subject_request_id": ID,
        "subject_request_type": "erasure",
        "submitted_time": "2026-10-02T15:00:00Z",
        "subject_identities": [
            {
                "identity_type": "controller_customer_id",
                "identity_value": "alice@example.com",
                "identity_format": "raw",
            }
        ],
        "api_version": "2.0",
    }
    return {name: value for name, value in {**body, **changes}.items() if value is not None}


class Executions:
    """Records what was started."""

    def __init__(self) -> None:
        self.started: list[str] = []

    def start(self, name: str, case: Case) -> None:
        self.started.append(case.id)


class Starter:
    """Records what is followed; refuses where told."""

    def __init__(self) -> None:
        self.followed: list[Binding] = []
        self.fails = False

    def follow(self, binding: Binding) -> None:
        if self.fails:
            raise AwsUnavailable("ConnectionFailed")
        self.followed.append(binding)


class Api:
    """The handler with the dialect behind it, called as API Gateway calls it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = World()
        self.executions, self.starter = Executions(), Starter()
        self.signer = MemorySigner()
        world = self.world
        links = Links(Catalogued(world.requests, "requests"), world.cases, Downloads(), world.clock)
        self.rights = Rights(
            world.cases, self.executions, world.signer, world.clock, lambda: PEPPER, links=links, asking=world.asking
        )
        self.bindings = Bindings(Catalogued(self.world.requests, "requests"))
        self.dialect = OpenDsr(self.rights, self.bindings, self.signer, self.world.clock, Outbound(), self.starter)
        monkeypatch.setattr(privacy.handler._service, "made", self.rights)
        monkeypatch.setattr(privacy.handler._dialect, "made", self.dialect)

    def raw(self, method: str, path: str, body: Any = None, *, outcome: str = "ok", project: str = PROJECT) -> Any:
        context = {
            "requestId": "req-1",
            "path": "/live" + path,
            "domainName": HOST,
            "authorizer": Verdict(project, "k1", outcome=outcome).to_context(),
        }
        text = body if isinstance(body, str) or body is None else json.dumps(body)
        event = {"httpMethod": method, "path": path, "headers": {}, "requestContext": context, "body": text}
        return handler({**event, "queryStringParameters": None, "isBase64Encoded": False}, None)

    def call(self, *args: Any, **options: Any) -> tuple[int, Any]:
        """Status and body, after the signature was verified with the published certificate."""
        answer = self.raw(*args, **options)
        if answer["statusCode"] < 300:
            self.verify(answer)
        return answer["statusCode"], json.loads(answer["body"])

    def verify(self, answer: Any) -> None:
        headers = answer["multiValueHeaders"]
        assert headers["x-opendsr-processor-domain"] == [HOST]
        certificate = x509.load_pem_x509_certificate(self.raw("GET", CERTIFICATE_PATH)["body"].encode())
        key = certificate.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        signature = base64.b64decode(headers["x-opendsr-signature"][0], validate=True)
        key.verify(signature, answer["body"].encode(), ec.ECDSA(SHA256()))


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    return Api(monkeypatch)


def refused(answer: tuple[int, Any]) -> tuple[int, str]:
    status, body = answer
    assert body["error"]["code"] == status
    return status, body["error"]["errors"][0]["reason"]


def test_discovery_says_what_is_supported_and_where_the_certificate_is(api: Api) -> None:
    body = json.loads(api.raw("GET", PREFIX + "/discovery")["body"])
    assert body == {
        "api_version": "2.0",
        "supported_identities": [{"identity_type": "controller_customer_id", "identity_format": "raw"}],
        "supported_subject_request_types": body["supported_subject_request_types"],
        "processor_certificate": f"https://{HOST}/live{CERTIFICATE_PATH}",
    }
    assert "erasure" in body["supported_subject_request_types"]


def test_a_request_becomes_a_case_and_the_receipt_is_signed(api: Api) -> None:
    # when
    status, receipt = api.call("POST", PREFIX + "/requests", request())
    # then
    assert status == 201
    assert receipt["controller_id"] == PROJECT
    assert receipt["subject_request_id"] == ID
    assert json.loads(base64.b64decode(receipt["encoded_request"])) == request()
    (case,) = api.world.cases.list(PROJECT)[0]
    assert (case.type, api.executions.started) == ("erasure", [case.id])
    assert case.subject == subject_id(project_pepper(PEPPER, PROJECT), "user", "alice@example.com")
    assert "alice" not in str(api.world.requests.rows)


def test_the_same_id_is_the_same_request_also_after_it_has_ended(api: Api) -> None:
    _, first = api.call("POST", PREFIX + "/requests", request())
    (case,) = api.world.cases.list(PROJECT)[0]
    api.world.erase(case)
    again, second = api.call("POST", PREFIX + "/requests", request())
    assert (again, second) == (201, first)
    assert len(api.world.cases.list(PROJECT)[0]) == 1
    # and for somebody else it is refused
    other = [{"identity_type": "controller_customer_id", "identity_value": "bob", "identity_format": "raw"}]
    taken = api.call("POST", PREFIX + "/requests", request(subject_identities=other))
    assert refused(taken) == (409, "request_id_reused")
    # while another project may use the id as it likes
    assert api.call("POST", PREFIX + "/requests", request(), project="projectB")[0] == 201


def test_from_pending_to_completed(api: Api) -> None:
    api.world.store(subject_id(project_pepper(PEPPER, PROJECT), "user", "alice@example.com"))
    api.call("POST", PREFIX + "/requests", request())
    (case,) = api.world.cases.list(PROJECT)[0]
    _, pending = api.call("GET", f"{PREFIX}/requests/{ID}")
    assert (pending["request_status"], pending["api_version"]) == ("pending", "2.0")
    assert "results_url" not in pending
    api.world.erase(case)
    _, done = api.call("GET", f"{PREFIX}/requests/{ID}")
    assert done["request_status"] == "completed"
    assert done["results_url"] == f"https://{HOST}/live/v1/privacy/requests/{case.id}/certificate"
    assert done["results_count"] > 2
    assert done["extensions"][HOST]["request"] == case.id


def test_what_opendsr_has_no_word_for_is_said_beside_it(api: Api) -> None:
    api.call("POST", PREFIX + "/requests", request())
    (case,) = api.world.cases.list(PROJECT)[0]
    for act, word, status in (
        (lambda: api.world.task(case, "verify", "mark_failed"), "in_progress", "failed"),
        (lambda: api.world.cases.pause(case, 1), "pending", "on_hold"),
        (lambda: api.world.cases.deny(case, "excessive", 1), "cancelled", "failed"),
    ):
        act()
        _, shown = api.call("GET", f"{PREFIX}/requests/{ID}")
        assert (shown["request_status"], shown["extensions"][HOST]["status"]) == (word, status)
    assert shown["extensions"][HOST]["reason"] == "excessive"
    assert shown["extensions"][HOST]["complain"]


def test_a_request_is_cancelled_until_the_point_of_no_return(api: Api) -> None:
    api.call("POST", PREFIX + "/requests", request())
    status, cancelled = api.call("DELETE", f"{PREFIX}/requests/{ID}")
    assert (status, cancelled["subject_request_id"]) == (202, ID)
    assert api.call("GET", f"{PREFIX}/requests/{ID}")[1]["request_status"] == "cancelled"
    # and not after it
    other = ID.replace("a755", "b755")
    api.call("POST", PREFIX + "/requests", request(subject_request_id=other))
    case = next(case for case in api.world.cases.list(PROJECT)[0] if case.status == "received")
    api.world.erase(case)
    assert refused(api.call("DELETE", f"{PREFIX}/requests/{other}")) == (409, "request_not_cancellable")


IDENTITY = request()["subject_identities"][0]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("", (400, "invalid_json")),
        ("[" * 8000, (400, "invalid_json")),
        ("x" * 20_000, (413, "request_too_large")),
        ([], (400, "invalid_type")),
        (request(regulation="alice"), (400, "invalid_value")),
        (request(regulation=None), (400, "missing_required_parameter")),
        (request(subject_request_id="alice"), (400, "invalid_value")),
        (request(subject_request_id=ID.upper()), (400, "invalid_value")),
        (request(subject_request_id="a7551968-d5d6-14b2-9831-815ac9017798"), (400, "invalid_value")),
        (request(subject_request_type="rectification"), (400, "unsupported_type")),
        (request(submitted_time="yesterday"), (400, "invalid_value")),
        (request(api_version="1.0"), (400, "invalid_value")),
        (request(subject_identities=[]), (400, "empty_array")),
        (request(subject_identities=None), (400, "missing_required_parameter")),
        (request(subject_identities=[{**IDENTITY, "identity_type": "email"}]), (400, "unsupported_identity")),
        (request(subject_identities=[{**IDENTITY, "identity_format": "sha256"}]), (400, "unsupported_identity")),
        (request(subject_identities=[IDENTITY, {**IDENTITY, "identity_value": "bob"}]), (400, "too_many_identities")),
        (request(subject_identities=[{**IDENTITY, "identity_value": "x" * 513}]), (400, "invalid_value")),
        *(
            (request(status_callback_urls=[url]), (400, "invalid_value"))
            for url in ("http://alice.test/", "https://169.254.169.254/", "https://localhost/", "https://alice@x.test/")
        ),
        (request(status_callback_urls=["https://x.test/"] * 5), (400, "invalid_value")),
    ],
)  # fmt: skip
def test_refusals_have_opendsrs_shape_and_quote_nothing(api: Api, body: Any, expected: tuple[int, str]) -> None:
    answer = api.call("POST", PREFIX + "/requests", body)
    assert refused(answer) == expected
    assert "alice" not in str(answer)
    assert api.world.requests.rows == {}


def test_a_key_without_the_scope_and_another_projects_request(api: Api) -> None:
    assert refused(api.call("POST", PREFIX + "/requests", request(), outcome="insufficient_scope"))[0] == 403
    api.call("POST", PREFIX + "/requests", request())
    for method in ("GET", "DELETE"):
        assert refused(api.call(method, f"{PREFIX}/requests/{ID}", project="projectB")) == (404, "not_found")
        assert refused(api.call(method, f"{PREFIX}/requests/alice")) == (404, "not_found")


def test_callbacks_are_followed_and_a_fault_of_theirs_hurts_nobody(api: Api) -> None:
    asked = request(status_callback_urls=["https://hooks.example.org/dsr"])
    api.starter.fails = True
    assert api.call("POST", PREFIX + "/requests", asked)[0] == 201
    api.starter.fails = False
    assert api.call("POST", PREFIX + "/requests", asked)[0] == 201
    (binding,) = api.starter.followed
    assert (binding.external, binding.callbacks, binding.told) == (ID, ("https://hooks.example.org/dsr",), ("pending",))


def test_an_operators_certificate_is_served_as_it_is(api: Api) -> None:
    dialect = OpenDsr(api.rights, api.bindings, api.signer, api.world.clock, Outbound(), api.starter, certificate="PEM")
    from privacy.dialects.opendsr import Origin

    assert dialect.certificate(Origin(HOST, "https://" + HOST)) == "PEM"


def test_certificate_and_signing_request_are_of_the_key_that_signs() -> None:
    signer = MemorySigner()
    now = 1_800_000_000
    made = x509.load_pem_x509_certificate(self_signed(signer, HOST, now).encode())
    made.verify_directly_issued_by(made)
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [HOST]
    asked = x509.load_pem_x509_csr(signing_request(signer, HOST).encode())
    assert asked.is_signature_valid
    assert asked.public_key() == made.public_key()
