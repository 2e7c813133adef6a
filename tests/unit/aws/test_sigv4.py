"""The signer gives, header for header, what botocore's gives."""

from __future__ import annotations

from datetime import UTC, datetime
from unittest.mock import patch

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import given
from hypothesis import strategies as st

from chatapi.aws.credentials import Credentials
from chatapi.aws.sigv4 import Signer, encode_segment

HOST = "service.eu-central-1.amazonaws.com"
word = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/=-", min_size=1, max_size=40)
segment = st.text(min_size=1, max_size=20).filter(lambda text: text not in (".", "..")).map(encode_segment)
path = st.lists(segment, max_size=4).map(lambda parts: "/" + "/".join(parts))
query = st.lists(st.tuples(segment, st.one_of(st.just(""), segment)), max_size=4).map(
    lambda pairs: "&".join(f"{name}={value}" for name, value in pairs)
)
header_value = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)
headers = st.dictionaries(
    st.sampled_from(["content-type", "x-amz-target", "accept", "x-amzn-bedrock-trace", "x-custom-9"]), header_value
)
moment = st.datetimes(datetime(2020, 1, 1), datetime(2099, 1, 1))


def botocore_signs(
    credentials: Credentials, service: str, method: str, target: str, headers: dict[str, str], body: bytes, at: datetime
) -> dict[str, str]:
    request = AWSRequest(method, f"https://{HOST}{target}", headers=headers, data=body)
    boto_credentials = BotoCredentials(credentials.access_key, credentials.secret_key, credentials.token)
    with patch("botocore.auth.get_current_datetime", return_value=at.replace(tzinfo=UTC)):
        SigV4Auth(boto_credentials, service, "eu-central-1").add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


@given(word, word, st.none() | word, path, query, headers, st.binary(max_size=200), moment)
def test_equal_to_botocore_for_any_request(
    access_key: str,
    secret_key: str,
    token: str | None,
    path: str,
    query: str,
    headers: dict[str, str],
    body: bytes,
    at: datetime,
) -> None:
    credentials = Credentials(access_key, secret_key, token)
    target = f"{path}?{query}" if query else path
    sent = {"host": HOST, **headers}

    ours = Signer("bedrock", "eu-central-1").sign(
        credentials, "POST", target, headers=sent, body=body, amz_date=at.strftime("%Y%m%dT%H%M%SZ")
    )

    assert ours == botocore_signs(credentials, "bedrock", "POST", target, sent, body, at)


@pytest.mark.parametrize(
    "model",
    [
        "anthropic.claude-3-5-sonnet-20241022-v2:0",
        "arn:aws:bedrock:eu-central-1:123456789012:inference-profile/eu.meta.llama3-2-1b-instruct-v1:0",
    ],
)
def test_a_model_id_is_encoded_once_on_the_wire_and_twice_in_the_signature(model: str) -> None:
    credentials, at = Credentials("AKID", "secret"), datetime(2026, 11, 23, 10, 15)
    target = f"/model/{encode_segment(model)}/converse-stream"
    assert ":" not in target

    ours = Signer("bedrock", "eu-central-1").sign(
        credentials, "POST", target, headers={"host": HOST}, body=b"{}", amz_date="20261123T101500Z"
    )

    assert ours == botocore_signs(credentials, "bedrock", "POST", target, {"host": HOST}, b"{}", at)


@given(st.lists(st.tuples(st.sampled_from(["s1", "s2"]), st.sampled_from(["20261123", "20261124"])), max_size=8))
def test_the_cached_key_never_outlives_its_secret_or_its_day(uses: list[tuple[str, str]]) -> None:
    kept = Signer("dynamodb", "eu-central-1")
    for secret, day in uses:
        args = (Credentials("AKID", secret), "POST", "/")
        rest = {"headers": {"host": HOST}, "body": b"{}", "amz_date": f"{day}T000000Z"}
        assert kept.sign(*args, **rest) == Signer("dynamodb", "eu-central-1").sign(*args, **rest)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["", "model", "/a//b", "/a/../b", "/./a", "/a/.."])
def test_a_path_that_aws_would_read_differently_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="not normalised"):
        Signer("bedrock", "r").sign(Credentials("a", "b"), "GET", path, headers={}, body=b"", amz_date="20261123T0Z")
