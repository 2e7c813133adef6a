"""How servers that speak OpenAI's chat completions differ, by the `provider` of a model in policy/models.toml.

Sources: OpenAI API reference, "Create chat completion"; Azure OpenAI in Microsoft Foundry, "REST API reference" and
"v1 API"; vLLM, "OpenAI-Compatible Server"; Ollama, "OpenAI compatibility" (its list of fields); llama.cpp,
tools/server/README.md. A field that a server might refuse, or has no use for, is not sent to it.
"""

from __future__ import annotations

from typing import NamedTuple


class Dialect(NamedTuple):
    """What one kind of server is told beside the messages and the parameters that the model can take.

    `limit` is its name of the cap on the answer; `pseudonym` the fields that take the user's pseudonym; `store` whether
    it knows `store`, which is then false (commitment MSG-1); `header` where the API key goes, `scheme` what stands
    before it there. `cache` is its field for the key of a prompt cache, which `isolates` where no lookup finds what was
    kept under another one. `tagged`: it writes what the model thinks between tags into the answer's text. `grammars`:
    it takes custom tools, and holds the model to their grammar. `reads_calls`: it parses the arguments of calls that
    were made before, and fails where they are no object.
    """

    limit: str
    pseudonym: tuple[str, ...]
    store: bool
    header: str = "authorization"
    scheme: str = "Bearer "
    tagged: bool = False
    cache: str | None = None
    isolates: bool = False
    grammars: bool = False
    reads_calls: bool = False


DIALECTS = {
    # `user` gives way to `safety_identifier` there, and its models for reasoning refuse `max_tokens`.
    "openai": Dialect(
        "max_completion_tokens", ("safety_identifier",), store=True, cache="prompt_cache_key", grammars=True
    ),
    # The path /openai/v1 of a resource, or with `api_version` /openai/deployments/NAME, whose versions refuse `store`.
    "azure": Dialect(
        "max_completion_tokens",
        ("user",),
        store=True,
        header="api-key",
        scheme="",
        cache="prompt_cache_key",
        grammars=True,
    ),
    "azure-deployment": Dialect("max_tokens", ("user",), store=False, header="api-key", scheme=""),
    # `cache_salt` is mixed into the hash of a prompt's first block, and so into those of all that follow it.
    "vllm": Dialect("max_tokens", ("user",), store=False, cache="cache_salt", isolates=True, reads_calls=True),
    "ollama": Dialect("max_tokens", (), store=False, reads_calls=True),
    # Ignores what it does not know. MODEL_URL of `make run` may lead to a server of any kind, which is told everything.
    "llama.cpp": Dialect("max_tokens", ("user",), store=True, reads_calls=True),
    # Signed instead of keyed. Bedrock stores no completions and needs to know no user.
    "bedrock-openai": Dialect("max_completion_tokens", (), store=False, tagged=True),
}
