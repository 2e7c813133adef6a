"""Every text of a request that goes to a provider, in one walk: to gather them, and to put others in their place.

What holds no text that can be read (images, audio, files other than plain text, token arrays) is refused where
redaction is demanded, and so is what answers in a form that cannot be restored (log probabilities of a placeholder's
letters, speech). A name must stay what it is, so one that holds a value is refused as well.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from chat.custom_tools import grammar_of
from chat.redaction.detect import TooManyValues
from chat.requests import ChatRequest
from chat.thoughts import THOUGHTS
from chatapi.errors import ApiError, BadRequest, RedactionFailed
from chatapi.logs import log_error

if TYPE_CHECKING:
    from chat.embeddings import EmbeddingsRequest

T = TypeVar("T")
Change = Callable[[str], str]
JSON_STARTS = ("{", "[", '"')
"""How JSON begins that is more than a number, which as a text is just a text."""
_TEXT_FILE = re.compile(
    r"data:(?:text/(?:plain|csv|markdown|tab-separated-values)|application/json)(?:;charset=utf-8)?;base64",
    re.IGNORECASE,
)


def not_possible(param: str) -> BadRequest:
    """The refusal: nothing is sent or stored."""
    return BadRequest(
        "Redaction is demanded, and this cannot be redacted, so nothing was sent or stored.",
        code="redaction_not_possible",
        param=param,
    )


def closed(work: Callable[[], T], param: str, failed: RedactionFailed) -> T:
    """What `work` makes. BadRequest `redaction_not_possible` of `param` where it is too much to be read; `failed`, with
    nothing of its cause, whatever else is the matter: then nothing is sent or stored."""
    failure: ApiError
    try:
        return work()
    except ApiError:
        raise
    except (TooManyValues, RecursionError):  # JSON nested as deep as the interpreter goes is not read either
        failure = not_possible(param)
    except Exception as error:  # noqa: BLE001 - whatever it was, it fails closed
        log_error("redaction_failed", error, function="chat")
        failure = failed
    raise failure  # outside the handlers: a cause may quote content


def chat_texts(request: ChatRequest) -> list[str]:
    """All texts of the request. BadRequest for what cannot be read."""
    return gathered(lambda walk: rewritten(request, walk))


def gathered(walked: Callable[[Walk], object]) -> list[str]:
    """All texts that `walked` would change, those that are JSON also as they are written."""
    texts: list[str] = []

    def gather(text: str) -> str:
        texts.append(text)
        return text

    walked(Walk(gather, gather))
    return texts


def rewritten(request: ChatRequest, walk: Walk) -> ChatRequest:
    """The request with its texts changed. BadRequest `redaction_not_possible` that names what cannot be."""
    if request.logprobs or request.top_logprobs:
        raise not_possible("logprobs")
    for token in request.logit_bias or ():
        walk.same(token, "logit_bias")
    if request.audio is not None or "audio" in (request.modalities or ()):
        raise not_possible("modalities")
    changed: dict[str, Any] = {
        "messages": [_message(walk, message, f"messages[{index}]") for index, message in enumerate(request.messages)]
    }
    if request.tools:
        changed["tools"] = [_tool(walk, tool, f"tools[{index}]") for index, tool in enumerate(request.tools)]
    if request.response_format is not None:
        changed["response_format"] = _response_format(walk, request.response_format)
    if request.stop is not None:
        stop = request.stop
        changed["stop"] = walk.change(stop) if isinstance(stop, str) else [walk.change(each) for each in stop]
    if request.prediction is not None:
        changed["prediction"] = _prediction(walk, request.prediction)
    return request.model_copy(update=changed)


def embedding_texts(request: EmbeddingsRequest) -> list[str]:
    """The texts to embed. BadRequest for tokens: what they spell is the model's to know."""
    inputs = request.inputs
    texts = [each for each in inputs if isinstance(each, str)]
    if len(texts) != len(inputs):
        raise not_possible("input")
    return texts


class Walk(NamedTuple):
    """How texts are changed; `seen` is shown the JSON that is changed from within, as it is written: what the names of
    its fields tell of their values is seen there alone."""

    change: Change
    seen: Change | None = None

    def value(self, value: Any) -> Any:
        """A JSON value with its strings changed, those of its keys too, and numbers, which then become strings."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.change(name): self.value(each) for name, each in value.items()}
        if isinstance(value, list):
            return [self.value(each) for each in value]
        if isinstance(value, int | float) and not isinstance(value, bool):
            written = json.dumps(value)
            changed = self.change(written)
            return value if changed == written else changed
        return value

    def text(self, text: str) -> str:
        """A text. Where all of it is JSON with escapes in it, what they spell is changed: `\\u0040` is an @."""
        return self.json(text) if "\\" in text and text.lstrip()[:1] in JSON_STARTS else self.change(text)

    def json(self, text: str) -> str:
        """JSON text, as a tool's arguments are, changed within its strings and numbers, so that it stays JSON. What is
        no JSON is a text."""
        if self.seen:
            self.seen(text)
        doubled: list[bool] = []

        def of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
            made = dict(pairs)
            if len(made) != len(pairs):
                doubled.append(True)
            return made

        try:
            value = json.loads(text, object_pairs_hook=of)
            changed = self.value(value)
        except ValueError:
            return self.change(text)
        return json.dumps(changed, ensure_ascii=False) if doubled or changed != value else self.change(text)

    def file(self, url: str, at: str) -> str:
        """A data URL of a plain text, whose text is changed. BadRequest for any other."""
        head, comma, data = url.partition(",")
        try:
            if not comma or not _TEXT_FILE.fullmatch(head):
                raise ValueError
            text = base64.b64decode(data, validate=True).decode()
        except ValueError:
            text = None
        if text is None:
            raise not_possible(at)
        return f"{head},{base64.b64encode(self.text(text).encode()).decode()}"

    def same(self, name: str, at: str) -> str:
        """A name, which cannot be changed. BadRequest where it would have to be."""
        if self.change(name) != name:
            raise not_possible(at)
        return name


def _message(walk: Walk, message: Any, at: str) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in message.items():
        if name == THOUGHTS:
            continue  # nobody can look for values in what is signed or encrypted
        if value is None or name == "role":
            out[name] = value
        elif name == "content":
            out[name] = walk.text(value) if isinstance(value, str) else _contents(walk, value, at)
        elif name == "tool_calls":
            out[name] = [_call(walk, call, f"{at}.tool_calls[{index}]") for index, call in enumerate(value)]
        elif name == "name":
            out[name] = walk.same(value, f"{at}.name")
        else:
            out[name] = walk.change(value)  # a refusal, the id of a call
    return out


def _contents(walk: Walk, content: list[Any], at: str) -> list[dict[str, Any]]:
    out = []
    for index, part in enumerate(content):
        here = f"{at}.content[{index}]"
        if part["type"] == "file":
            file = {
                name: walk.file(v, here) if name == "file_data" else walk.value(v) for name, v in part["file"].items()
            }
            out.append({"type": "file", "file": file})
            continue
        if part["type"] not in ("text", "refusal"):
            raise not_possible(here)
        out.append({name: value if name == "type" else walk.value(value) for name, value in part.items()})
    return out


def _call(walk: Walk, call: Any, at: str) -> dict[str, Any]:
    kind = call["type"]
    name = walk.same(call[kind]["name"], f"{at}.{kind}.name")
    changed = {"id": walk.change(call["id"])}
    if kind == "custom":
        return {**call, **changed, "custom": {"name": name, "input": walk.text(call["custom"]["input"])}}
    return {**call, **changed, "function": {"name": name, "arguments": walk.json(call["function"]["arguments"])}}


def _tool(walk: Walk, tool: Any, at: str) -> dict[str, Any]:
    kind = tool["type"]
    walk.same(tool[kind]["name"], f"{at}.{kind}.name")
    if (grammar := grammar_of(tool)) is not None:  # what it says must stay what it is
        walk.same(grammar["definition"], f"{at}.custom.format")
    return {**tool, kind: _described(walk, dict(tool[kind]), "parameters")}


def _response_format(walk: Walk, wanted: Any) -> dict[str, Any]:
    if wanted["type"] != "json_schema":
        return dict(wanted)
    schema = dict(wanted["json_schema"])
    walk.same(schema["name"], "response_format.json_schema.name")
    return {**wanted, "json_schema": _described(walk, schema, "schema")}


def _described(walk: Walk, described: dict[str, Any], schema: str) -> dict[str, Any]:
    changed = {name: walk.value(described[name]) for name in ("description", schema) if described.get(name) is not None}
    return {**described, **changed}


def _prediction(walk: Walk, prediction: dict[str, Any]) -> dict[str, Any]:
    content = prediction.get("content")
    if isinstance(content, list) and not all(isinstance(p, dict) and p.get("type") == "text" for p in content):
        raise not_possible("prediction")
    return {name: value if name == "type" else walk.value(value) for name, value in prediction.items()}
