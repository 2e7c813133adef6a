"""What other libraries' envelope encryption costs beside the vault: ratios to raw AES-256-GCM of one process.

Each with a local key in place of KMS, with its context, without compression and without a signature by key pair. Run by
`benchmarks.peers` in the environment of requirements/peers.txt; prints one JSON object.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_ROUNDS, _CALLS, _HISTORY = 9, 10, 50
_DATA = os.urandom(2048)
_KEY = os.urandom(32)
Pair = tuple[Callable[[], object], Callable[[object], object]]


def main() -> int:
    """Measure."""
    warnings.simplefilter("ignore")
    pairs = {"raw": _raw(), "chatapi": _ours(), "aws_encryption_sdk": _encryption_sdk()}
    pairs["dynamodb_encryption_sdk"] = _dynamodb_sdk()
    seals: dict[str, list[float]] = {name: [] for name in pairs}
    opens: dict[str, list[float]] = {name: [] for name in pairs}
    for _ in range(_ROUNDS):
        for name, (seal, unseal) in pairs.items():
            sealed = seal()
            seals[name].append(_time(lambda seal=seal, unseal=unseal: unseal(seal()), _CALLS))  # type: ignore[misc]
            opens[name].append(_time(lambda unseal=unseal, sealed=sealed: unseal(sealed), _HISTORY))  # type: ignore[misc]
    found = {}
    for name in pairs:
        if name != "raw":
            found[f"{name}.vault_pair_2k"] = statistics.median(seals[name]) / statistics.median(seals["raw"])
            found[f"{name}.vault_history_50x2k"] = statistics.median(opens[name]) / statistics.median(opens["raw"])
    json.dump(found, sys.stdout)
    return 0


def _time(work: Callable[[], object], calls: int) -> float:
    started = time.process_time()
    for _ in range(calls):
        work()
    return time.process_time() - started


def _raw() -> Pair:
    def seal() -> object:
        nonce = os.urandom(12)
        return nonce, AESGCM(_KEY).encrypt(nonce, _DATA, b"row")

    return seal, lambda sealed: AESGCM(_KEY).decrypt(sealed[0], sealed[1], b"row")  # type: ignore[index]


def _ours() -> Pair:
    from chatapi.clock import SystemClock
    from chatapi.vault import Vault
    from chatapi.vault.memory import MemoryKeys, MemoryWraps

    vault = Vault(MemoryWraps(), MemoryKeys(), SystemClock())
    handle = vault.writer("Ab3dEf7h", "sub_mzxw6ytboi2dgnbvmzxw6ytboi2dgnbv")
    place = ("records", "Ab3dEf7h#sub#1", "message#1", "body", 1)
    return lambda: handle.seal(*place, _DATA), lambda sealed: handle.open(*place, sealed)  # type: ignore[arg-type]


def _encryption_sdk() -> Pair:
    from aws_encryption_sdk import CommitmentPolicy, EncryptionSDKClient
    from aws_encryption_sdk.identifiers import Algorithm, EncryptionKeyType, WrappingAlgorithm
    from aws_encryption_sdk.internal.crypto.wrapping_keys import WrappingKey
    from aws_encryption_sdk.key_providers.raw import RawMasterKeyProvider

    class Local(RawMasterKeyProvider):  # type: ignore[misc]
        provider_id = "local"

        def _get_raw_key(self, key_id: bytes) -> object:
            algorithm = WrappingAlgorithm.AES_256_GCM_IV12_TAG16_NO_PADDING
            return WrappingKey(algorithm, _KEY, EncryptionKeyType.SYMMETRIC)

    keys = Local()
    keys.add_master_key("1")
    client = EncryptionSDKClient(commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT)
    context = {"pk": "Ab3dEf7h#sub#1", "sk": "message#1", "attribute": "body"}

    def seal() -> object:
        algorithm = Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY
        return client.encrypt(source=_DATA, key_provider=keys, encryption_context=context, algorithm=algorithm)[0]

    return seal, lambda sealed: client.decrypt(source=sealed, key_provider=keys)


def _dynamodb_sdk() -> Pair:
    from dynamodb_encryption_sdk.delegated_keys.jce import JceNameLocalDelegatedKey
    from dynamodb_encryption_sdk.encrypted import CryptoConfig
    from dynamodb_encryption_sdk.encrypted.item import decrypt_python_item, encrypt_python_item
    from dynamodb_encryption_sdk.identifiers import CryptoAction, EncryptionKeyType, KeyEncodingType
    from dynamodb_encryption_sdk.material_providers.wrapped import WrappedCryptographicMaterialsProvider
    from dynamodb_encryption_sdk.structures import AttributeActions, EncryptionContext

    def key(algorithm: str) -> object:
        return JceNameLocalDelegatedKey(_KEY, algorithm, EncryptionKeyType.SYMMETRIC, KeyEncodingType.RAW)

    wrapping = key("AES")
    config = CryptoConfig(
        materials_provider=WrappedCryptographicMaterialsProvider(
            signing_key=key("HmacSHA256"), wrapping_key=wrapping, unwrapping_key=wrapping
        ),
        encryption_context=EncryptionContext(
            table_name="records", partition_key_name="pk", sort_key_name="sk", attributes={}
        ),
        attribute_actions=AttributeActions(
            default_action=CryptoAction.ENCRYPT_AND_SIGN,
            attribute_actions={"pk": CryptoAction.SIGN_ONLY, "sk": CryptoAction.SIGN_ONLY},
        ),
    )
    item = {"pk": "Ab3dEf7h#sub#1", "sk": "message#1", "body": _DATA}
    return lambda: encrypt_python_item(item, config), lambda sealed: decrypt_python_item(sealed, config)


if __name__ == "__main__":
    sys.exit(main())
