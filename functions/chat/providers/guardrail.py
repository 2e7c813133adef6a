"""A guardrail of Amazon Bedrock: an operator's own filter over what goes into a model and what comes out of it.

Amazon Bedrock API reference, "GuardrailStreamConfiguration"; Amazon Bedrock User Guide, "Use a guardrail with inference
operations". No trace is asked for: it would repeat what was filtered.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple


class Guardrail(NamedTuple):
    """Its id and version, and whether a stream waits for it (`sync`) or is cut off after the fact (`async`)."""

    id: str
    version: str
    mode: Literal["sync", "async"] = "sync"

    def converse(self) -> dict[str, Any]:
        """The field `guardrailConfig` of ConverseStream."""
        return {
            "guardrailIdentifier": self.id,
            "guardrailVersion": self.version,
            "streamProcessingMode": self.mode,
            "trace": "disabled",
        }

    def headers(self) -> dict[str, str]:
        """The headers of Bedrock's OpenAI endpoint, which are InvokeModel's."""
        return {"x-amzn-bedrock-guardrailidentifier": self.id, "x-amzn-bedrock-guardrailversion": self.version}
