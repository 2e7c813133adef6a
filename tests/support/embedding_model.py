"""An embeddings model on the OpenAI-compatible upstream, which policy/models.toml offers in no stage by itself."""

from __future__ import annotations

from typing import Any

import pytest

from chatapi.catalogue import read_policy

EMBEDDER = "test-embedder"


def offer(patch: pytest.MonkeyPatch, **changes: Any) -> None:
    """Put it into the policy for one test."""
    entry = {
        "provider": "llama.cpp",
        "processor": "local-model",
        "upstream": "embedder",
        "capabilities": ["dimensions", "embeddings", "token_input"],
        "context": 512,
        "created": 1730419200,
        "price": {"input": 0.10, "cached": 0.10, "output": 0.0},
        "stages": ["local"],
        **changes,
    }
    patch.setitem(read_policy("models")["models"], EMBEDDER, entry)
