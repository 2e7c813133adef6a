"""Subject ids: opaque, stable inside one project, unlinkable across projects and without the pepper; and the context
that a subject's key is bound to."""

from __future__ import annotations

import base64
import hmac
from typing import Literal

from chatapi.vault.lp import lp

Kind = Literal["user", "owner", "cache", "thoughts"]


def project_pepper(secret: bytes, project_id: str) -> bytes:
    """The project's pepper: HMAC-SHA256 of its id under the deployment's secret (32 bytes or more, else ValueError)."""
    if len(secret) < 32:
        raise ValueError("the pepper's secret has at least 32 bytes")
    return hmac.digest(secret, lp("chatapi/pepper/v1", project_id), "sha256")


def subject_id(pepper: bytes, kind: Kind, value: str) -> str:
    """`sub_` and 32 characters of base32 in lower case: HMAC-SHA256 of lp(kind, value), its first 160 bits.

    `user`: an end user; a request's `user` and `safety_identifier` are both of this kind, so the same value is the same
    subject. `owner`: the project's owner. `cache`: nobody, but the pseudonym of a prompt cache's key. `thoughts`:
    nobody, and told to nobody, but the secret under which a model's thoughts are carried (chat/thoughts.py). The value
    is taken as it is, without folding case or Unicode forms: the developer's ids are the developer's. ValueError where
    it is not valid Unicode; the text does not repeat it.
    """
    digest = hmac.digest(pepper, lp(kind, value), "sha256")[:20]
    return "sub_" + base64.b32encode(digest).decode().lower()


def key_context(project: str, subject: str, generation: int) -> dict[str, str]:
    """The encryption context of a subject key: opaque ids only, since CloudTrail shows it in clear."""
    return {"tenant": project, "subject": subject, "generation": str(generation), "purpose": "subject-key"}
