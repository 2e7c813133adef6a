"""The models on offer: policy/models.toml, less what this stage does not have or no live agreement covers (SHR-3)."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from chat.caches import Cache
from chat.entries import BEDROCK, check_model, check_processors, guardrails
from chat.providers.guardrail import Guardrail
from chatapi.catalogue import read_policy
from chatapi.errors import Forbidden, ModelNotFound


@dataclass(frozen=True, slots=True)
class Model:
    """A model: its public id, the provider's kind ('bedrock' or one of `DIALECTS`), who processes it, its id there, its
    size, and `extra` fields of its requests.

    `base_url` is where its requests go, None for MODEL_URL and Bedrock; `api_version` what Azure is asked for;
    `secret` names the API key of its processor. `transfer` is the legal basis where the processor is in another region,
    `retention_days` how long the processor keeps messages, 0 where it does not. `guardrail` filters each chat with it.
    `cache` says how projects are kept apart in its prompt cache (chat.caches), `call_begins` what the answer is begun
    with where a call is demanded (chat.calling).
    """

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
    base_url: str | None = None
    api_version: str | None = None
    secret: str | None = None
    transfer: str | None = None
    retention_days: int = 0
    guardrail: Guardrail | None = None
    cache: Cache = "off"
    call_begins: str | None = None

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
                "prompt_cache": self.cache,
                "processor_retention_days": self.retention_days,
                "region": self.region,
                "training": self.training,
                "transfer": self.transfer,
            },
        }


class Registry:
    """The models of a stage. `openai` says whether MODEL_URL leads to a server on this machine. BadEntry (a ValueError)
    where an entry is wrong."""

    def __init__(self, stage: str, *, openai: bool, region: str) -> None:
        processors, transfers = read_policy("processors")["processors"], read_policy("transfers")["transfers"]
        check_processors(processors, transfers)
        self._guardrails = guardrails(read_policy("guardrails")["guardrails"])
        self._agreements = {name: entry["agreement"] for name, entry in processors.items()}
        self.region = region
        self.models: dict[str, Model] = {}
        for name, entry in read_policy("models")["models"].items():
            by = entry["processor"]
            processor = processors[by]
            check_model(name, entry, processor, self._guardrails)
            here = entry["provider"] in BEDROCK or "base_url" in entry or openai
            if stage not in entry["stages"] or not here:
                continue
            where = region if processor["region"] == "home" else processor["region"]
            self.models[name] = Model(
                id=name,
                provider=entry["provider"],
                processor=by,
                upstream=entry["upstream"],
                context=entry["context"],
                created=entry["created"],
                region=where,
                training=processor["training"],
                extra=entry.get("extra", {}),
                capabilities=frozenset(entry["capabilities"]),
                fallback=tuple(entry.get("fallback", ())),
                base_url=entry.get("base_url"),
                api_version=entry.get("api_version"),
                secret=processor.get("secret"),
                transfer=None if where in (region, "local") else transfers.get(by, {}).get("basis"),
                retention_days=processor.get("retention_days", 0),
                guardrail=self._guardrails.get(entry.get("guardrail", "")),
                cache=entry.get("cache", "off"),
                call_begins=entry.get("call_begins"),
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

    def permitted(self, model: Model, today: datetime.date, guardrail: str = "") -> Model:
        """The model, if its processor's agreement is signed and live, and, where it is in another region, a record of
        the transfer is in force (policy/transfers.toml), under the project's own `guardrail` where it has one and the
        model chats. Forbidden otherwise: nothing is sent there."""
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
        if not guardrail or "embeddings" in model.capabilities:
            return model
        found = self._guardrails.get(guardrail)
        if found is None or model.provider not in BEDROCK:
            raise Forbidden(
                "The project's guardrail cannot be applied to this model, so nothing is sent to it.",
                code="guardrail_unavailable",
                param="model",
            )
        return replace(model, guardrail=found)
