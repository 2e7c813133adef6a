"""The models on offer: policy/models.toml, less what this stage does not have or no live agreement covers (SHR-3)."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chat.capabilities import KNOWN
from chatapi.catalogue import read_policy
from chatapi.errors import Forbidden, ModelNotFound


@dataclass(frozen=True, slots=True)
class Model:
    """A model: its public id, the provider's kind ('openai' or 'bedrock'), who processes it, its id there, its size,
    and `extra` fields of its requests."""

    id: str
    provider: str
    processor: str
    upstream: str
    context: int
    created: int
    region: str
    training: bool
    extra: dict[str, Any]
    capabilities: frozenset[str] = frozenset()
    fallback: tuple[str, ...] = ()

    def public(self) -> dict[str, Any]:
        """The wire shape of GET /v1/models/{id}. `chatapi` is a field of ours: what the model can do, and where."""
        return {
            "id": self.id,
            "object": "model",
            "created": self.created,
            "owned_by": self.processor,
            "shutdown_date": None,
            "chatapi": {
                "capabilities": sorted(self.capabilities),
                "context_tokens": self.context,
                "fallback": list(self.fallback),
                "processor": self.processor,
                "region": self.region,
                "training": self.training,
            },
        }


class Registry:
    """The models of a stage. `openai` says whether an OpenAI-compatible server is configured."""

    def __init__(self, stage: str, *, openai: bool, region: str) -> None:
        processors = read_policy("processors")["processors"]
        self._agreements = {name: entry["agreement"] for name, entry in processors.items()}
        self.region = region
        self.models: dict[str, Model] = {}
        for name, entry in read_policy("models")["models"].items():
            if stage not in entry["stages"] or (entry["provider"] == "openai" and not openai):
                continue
            processor = processors[entry["processor"]]
            if "embeddings" in entry["capabilities"] and entry.get("fallback"):
                raise ValueError("vectors of another model are not comparable, so embeddings have no fallback")
            self.models[name] = Model(
                id=name,
                provider=entry["provider"],
                processor=entry["processor"],
                upstream=entry["upstream"],
                context=entry["context"],
                created=entry["created"],
                region=region if processor["region"] == "home" else processor["region"],
                training=processor["training"],
                extra=entry.get("extra", {}),
                capabilities=_known(entry["capabilities"]),
                fallback=tuple(entry.get("fallback", ())),
            )

    def allowed(self, names: Sequence[str]) -> list[Model]:
        """The models that a key with this list may see; no list: all of them."""
        return [model for model in self.models.values() if not names or model.id in names]

    def get(self, name: str, allowed: Sequence[str]) -> Model:
        """The model, or ModelNotFound: one off the key's list does not exist for that key."""
        model = self.models.get(name)
        if model is None or (allowed and name not in allowed):
            raise ModelNotFound
        return model

    def permitted(self, model: Model, today: datetime.date) -> Model:
        """The model, if its processor's agreement is signed and live, and, where it is in another region, a record of
        the transfer is in force (policy/transfers.toml). Forbidden otherwise: nothing is sent there."""
        agreement = self._agreements[model.processor]
        if not agreement["signed"] <= today < agreement["expires"]:
            raise Forbidden(
                "The agreement with this model's processor is not in force, so nothing is sent to it.",
                code="processor_unavailable",
                param="model",
            )
        if model.region not in (self.region, "local"):
            record = read_policy("transfers")["transfers"].get(model.processor)
            if record is None or not record["assessed"] <= today < record["expires"]:
                raise Forbidden(
                    "No record of a transfer to this model's processor is in force, so nothing is sent to it.",
                    code="transfer_not_permitted",
                    param="model",
                )
        return model


def _known(capabilities: Sequence[str]) -> frozenset[str]:
    """ValueError for a capability that no check knows: it would refuse nothing, or promise nothing."""
    if not set(capabilities) <= KNOWN:
        raise ValueError("policy/models.toml names an unknown capability")
    return frozenset(capabilities)
