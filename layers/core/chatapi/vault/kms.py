"""`KeyService` on AWS KMS (AWS KMS API Reference, "GenerateDataKey" and "Decrypt")."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

from chatapi.aws import AwsError
from chatapi.aws.calling import Caller
from chatapi.vault.errors import InvalidCiphertext, KeyUnavailable

# Another context, an altered wrap, or a wrap of another key: KMS tells the third apart, callers are not to.
_REFUSED = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})

_NO_SUCH_ACTION = frozenset({"UnknownOperationException", "InvalidAction", "UnknownOperation"})


class KmsKeys:
    """Wraps new keys under `key_id` (the alias of the current epoch), behind `client`, a client of `kms`."""

    def __init__(self, client: Caller, key_id: str) -> None:
        self._client = client
        self._key_id = key_id

    def generate(self, context: Mapping[str, str], key: str | None = None) -> tuple[bytes, bytes, str]:
        """See `KeyService`. 64 bytes, since HKDF with SHA-512 wants a key of at least its hash's length."""
        output = self._call(
            "GenerateDataKey", {"KeyId": key or self._key_id, "NumberOfBytes": 64, "EncryptionContext": dict(context)}
        )
        return b64decode(output["Plaintext"]), b64decode(output["CiphertextBlob"]), str(output["KeyId"])

    def unwrap(self, wrapped: bytes, context: Mapping[str, str], key_arn: str) -> bytes:
        """See `KeyService`. Naming the key makes KMS refuse a wrap that was made under any other."""
        output = self._call(
            "Decrypt",
            {
                "KeyId": key_arn,
                "CiphertextBlob": b64encode(wrapped).decode(),
                "EncryptionContext": dict(context),
                "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
            },
        )
        return b64decode(output["Plaintext"])

    def rewrap(self, wrapped: bytes, context: Mapping[str, str], from_arn: str, to_arn: str) -> bytes:
        """See `Rewrapper`: ReEncrypt, so that the key does not leave KMS. MiniStack knows no such action; there, and
        nowhere else, it is unwrapped and wrapped again."""
        bound = {"SourceEncryptionContext": dict(context), "DestinationEncryptionContext": dict(context)}
        payload = {"CiphertextBlob": b64encode(wrapped).decode(), "SourceKeyId": from_arn, "DestinationKeyId": to_arn}
        try:
            return b64decode(self._client.call("ReEncrypt", {**payload, **bound})["CiphertextBlob"])
        except AwsError as error:
            code = error.code
        if code not in _NO_SUCH_ACTION:
            raise InvalidCiphertext if code in _REFUSED else KeyUnavailable
        plain = b64encode(self.unwrap(wrapped, context, from_arn)).decode()
        output = self._call("Encrypt", {"KeyId": to_arn, "Plaintext": plain, "EncryptionContext": dict(context)})
        return b64decode(output["CiphertextBlob"])

    def arn(self, key_id: str | None = None) -> str:
        """The ARN of a key or alias, of the current epoch where none is given. KeyUnavailable where it is not enabled,
        or not a symmetric key."""
        found = self._call("DescribeKey", {"KeyId": key_id or self._key_id})["KeyMetadata"]
        if not found.get("Enabled") or found.get("KeySpec") != "SYMMETRIC_DEFAULT":
            raise KeyUnavailable
        return str(found["Arn"])

    def _call(self, operation: str, payload: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._client.call(operation, payload)
        except AwsError as error:
            refused = error.code in _REFUSED
        # Outside the handler, so that the refusal carries no cause.
        raise InvalidCiphertext if refused else KeyUnavailable
