"""A chat under redaction: the provider sees placeholders, the caller sees values, and the store keeps placeholders."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from chat.providers.base import Choice, Event, Finish, Reasoning, Text, ToolArguments, ToolStart, Usage
from chat.providers.scripted import Step, answer
from chat.redaction.restoring import Restoring
from chatapi.errors import BadRequest, RedactionFailed
from tests.support.chat_world import World, frames, whole
from tests.support.pem import private_key

MAIL, PHONE = "jane@example.com", "+14155552671"
ON = {"redact": True}
END: tuple[Step, ...] = (Finish("stop"), Usage(3, 2))


def said(role: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def call(arguments: str, call_id: str = "c") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": "f", "arguments": arguments}}


def file(kind: str, content: bytes) -> dict[str, Any]:
    data = f"data:{kind};base64,{base64.b64encode(content).decode()}"
    return {"type": "file", "file": {"file_data": data, "filename": f"{MAIL} x.txt"}}


def seen(world: World) -> str:
    [asked] = world.provider.calls
    return json.dumps([asked.messages, asked.tools, asked.response_format, asked.stop, asked.extra], ensure_ascii=False)


def test_every_text_of_a_request_is_hidden_from_the_provider() -> None:
    # given a value in each place that holds text
    world = World()
    world.provider.add(answer("Fine."))
    schema = {
        "type": "object",
        "description": MAIL,
        "properties": {"to": {"enum": [MAIL], "default": 4111111111111111}},
    }
    world.ask(
        model="smollm2-135m",
        messages=[
            said("system", f"Serve {MAIL}."),
            said("user", [{"type": "text", "text": f"I am {MAIL}", "note": {"from": [MAIL]}}]),
            said("assistant", None, tool_calls=[call(r'{"to": "jane\u0040example.com", "card": 4111111111111111}')]),
            said("tool", '{"ssn": 123456789, "mail": "jane\\u0040example.com"}', tool_call_id="c"),
            said("assistant", [{"type": "refusal", "refusal": f"Not {MAIL}"}], refusal=f"No {MAIL}"),
            said("user", "123456789"),
        ],
        tools=[{"type": "function", "function": {"name": "f", "description": f"Ask {MAIL}", "parameters": schema}}],
        response_format={"type": "json_schema", "json_schema": {"name": "n", "description": MAIL, "schema": schema}},
        stop=[MAIL, "x"],
        data_handling=ON,
    )
    # then none is in what it got
    got = seen(world)
    for value in (MAIL, "u0040", "4111111111111111", "123456789"):
        assert value not in got, value
    messages = world.provider.calls[0].messages
    assert messages[0]["content"] == "Serve <EMAIL_1>."
    # and arguments and results that were JSON still are
    arguments = messages[2]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(arguments) == {"to": "<EMAIL_1>", "card": "<CARD_1>"}
    assert json.loads(messages[3]["content"]) == {"ssn": "<NATIONAL_ID_1>", "mail": "<EMAIL_1>"}
    # and the number that was named once is hidden where it stands alone
    assert messages[5]["content"] == "<NATIONAL_ID_1>"


def test_a_file_of_plain_text_is_hidden_within(anything: World) -> None:
    anything.provider.add(answer("Fine."))
    content = [file("text/csv", f"name,mail\nJörg,{MAIL}\n".encode())]
    anything.ask(messages=[said("user", content)], data_handling=ON)
    [part] = anything.provider.calls[0].messages[0]["content"]
    head, _, data = part["file"]["file_data"].partition(",")
    assert (head, part["file"]["filename"]) == ("data:text/csv;base64", "<EMAIL_1> x.txt")
    assert base64.b64decode(data).decode() == "name,mail\nJörg,<EMAIL_1>\n"


@pytest.mark.parametrize("stream", [False, True])
def test_the_caller_sees_values_however_the_model_cuts_the_placeholder(stream: bool) -> None:
    world = World()
    world.provider.add((Text("Mail <E"), Text("MAIL"), Text("_1>"), Text(" <b> <EMAIL_2>"), *END))
    made = world.ask(messages=[said("user", MAIL)], stream=stream, data_handling=ON)
    expected = f"Mail {MAIL} <b> <EMAIL_2>"
    if stream:
        texts = [f["choices"][0]["delta"].get("content") for f in frames(made)[:-1]]
        assert "".join(text or "" for text in texts) == expected
        assert texts[1] == "Mail "  # what cannot be a placeholder waits for nothing
    else:
        assert whole(made)["choices"][0]["message"]["content"] == expected
    assert "redacted=email:1" in made.headers["data-handling"]


def test_values_in_arguments_and_in_json_are_escaped() -> None:
    world = World()
    key = private_key('"x"')
    world.provider.add(
        (
            Text('{"k": "<CREDENTIAL_1>"}'),
            ToolStart(0, "c", "f"),
            ToolStart(1, "d", "f"),
            ToolArguments(0, '{"k": "\\u003cCRED'),
            ToolArguments(1, '{"k": ["<CRED'),
            ToolArguments(0, 'ENTIAL_1\\u003e"}'),
            ToolArguments(1, 'ENTIAL_1>"]}'),
            Finish("tool_calls"),
            Usage(3, 2),
        )
    )
    tool = {"type": "function", "function": {"name": "f"}}
    asked = {"messages": [said("user", key)], "tools": [tool], "response_format": {"type": "json_object"}}
    message = whole(world.ask(**asked, data_handling=ON))["choices"][0]["message"]
    assert json.loads(message["content"]) == {"k": key}
    first, second = (json.loads(call["function"]["arguments"]) for call in message["tool_calls"])
    assert (first, second) == ({"k": key}, {"k": [key]})


def test_each_of_several_answers_is_restored_by_itself() -> None:
    world = World()
    world.provider.add((Text("a <EMA"), *END), (Text("IL_1> <EMAIL_1>"), *END))
    made = whole(world.ask(messages=[said("user", MAIL)], n=2, data_handling=ON))
    assert [choice["message"]["content"] for choice in made["choices"]] == ["a <EMA", f"IL_1> {MAIL}"]


def restored(value: str, named: list[str], *events: Event) -> list[Event]:
    from chat.redaction.detect import Detector
    from chat.redaction.placeholders import Placeholders

    placeholders = Placeholders(Detector(["email"], named), [value])
    placeholders.hide(value)

    class Stream:
        def __iter__(self) -> Any:
            return iter(events)

        def close(self) -> None:
            pass

    return list(Restoring(Stream(), placeholders, quoted=False))


def test_texts_that_servers_interleave_do_not_mix() -> None:
    last: list[Event] = [ToolArguments(0, "<EMA"), Choice(1), Finish("stop")]
    begun = Reasoning("<EMA"), Reasoning("IL_1>"), Text("<EMA"), ToolStart(0, "c", "f"), Text("x")
    assert restored(MAIL, [], *begun, *last) == [
        Reasoning(MAIL),
        Text("<EMA"),
        ToolStart(0, "c", "f"),
        Text("x"),
        ToolArguments(0, "<EMA"),
        Choice(1),
        Finish("stop"),
    ]


def test_a_custom_call_of_one_answer_says_nothing_of_the_next_ones_call() -> None:
    # given a value that JSON escapes, in the text of a custom call and in the arguments of the next answer's call
    value = 'Jane "JJ" Doe'
    custom, function = ToolStart(0, "c", "shell", custom=True), ToolStart(0, "d", "f")
    said = ToolArguments(0, "<VALUE_1>"), ToolArguments(0, '{"to": "<VALUE_1>"}')
    # when
    got = restored(
        value, [value], custom, said[0], Finish("tool_calls"), Choice(1), function, said[1], Finish("tool_calls")
    )
    # then the one is as it is, the other stays JSON
    next_one = got.index(Choice(1))
    text, arguments = (
        "".join(event.fragment for event in part if isinstance(event, ToolArguments))
        for part in (got[:next_one], got[next_one:])
    )
    assert (text, json.loads(arguments)) == (value, {"to": value})


def test_what_is_stored_has_placeholders_for_all_values_those_of_the_model_too() -> None:
    world = World()
    key = "Idempotent"
    world.provider.add(answer(f"<EMAIL_1> and {PHONE}"))
    asked = {"messages": [said("user", MAIL)], "store": True, "metadata": {"a": MAIL}, "data_handling": ON}
    made = whole(world.ask(key, **asked))
    assert made["choices"][0]["message"]["content"] == f"{MAIL} and {PHONE}"
    stored = world.stored.retrieve("project1", made["id"])
    assert stored["choices"][0]["message"]["content"] == "<EMAIL_1> and <PHONE_1>"
    assert stored["metadata"] == {"a": MAIL}  # a label of the caller's, which no provider sees
    assert world.stored.messages("project1", made["id"], {})["data"][0]["content"] == "<EMAIL_1>"
    # when the same request is sent again, its own values come back: the map is made of it anew
    again = whole(world.ask(key, **asked))
    assert again["choices"][0]["message"]["content"] == f"{MAIL} and <PHONE_1>"


NESTED = call("[" * 5000 + "]" * 5000)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (
            {"messages": [said("user", [{"type": "image_url", "image_url": {"url": "data:,x"}}])]},
            "messages[0].content[0]",
        ),
        ({"messages": [said("user", [file("application/pdf", b"x")])]}, "messages[0].content[0]"),
        ({"messages": [said("user", [file("text/plain", b"\xff")])]}, "messages[0].content[0]"),
        ({"messages": [said("user", [{"type": "input_audio", "input_audio": {}}])]}, "messages[0].content[0]"),
        ({"messages": [said("user", "x", name=MAIL)]}, "messages[0].name"),
        ({"tools": [{"type": "function", "function": {"name": "4111111111111111"}}]}, "tools[0].function.name"),
        ({"logprobs": True}, "logprobs"),
        ({"logit_bias": {MAIL: 1}}, "logit_bias"),
        (
            {"messages": [said("assistant", "x", tool_calls=[NESTED]), said("tool", "x", tool_call_id=NESTED["id"])]},
            "messages",
        ),
        ({"modalities": ["text", "audio"], "audio": {}}, "modalities"),
        ({"prediction": {"type": "content", "content": [{"type": "image"}]}}, "prediction"),
    ],
)
def test_what_cannot_be_redacted_is_refused_by_name(body: dict[str, Any], param: str, anything: World) -> None:
    with pytest.raises(BadRequest) as refused:
        anything.ask(**body, data_handling=ON)
    assert (refused.value.code, refused.value.param) == ("redaction_not_possible", param)
    assert anything.provider.calls == []
    # and without redaction it is nobody's concern
    anything.provider.add(answer("Fine."))
    assert whole(anything.ask(**body))


@pytest.fixture
def anything(monkeypatch: pytest.MonkeyPatch) -> World:
    """A model that can do everything."""
    monkeypatch.setattr("chat.capabilities.check", lambda request, can: None)
    return World()


def test_too_many_values_are_refused() -> None:
    world = World()
    with pytest.raises(BadRequest) as refused:
        world.ask(messages=[said("user", " ".join(f"u{n}@x.de" for n in range(10_001)))], data_handling=ON)
    assert (refused.value.code, refused.value.param) == ("redaction_not_possible", "messages")
    assert world.provider.calls == []


def test_a_fault_of_the_detector_sends_nothing_and_says_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World()

    def broken(self: object, text: str) -> None:
        raise ValueError(text)

    monkeypatch.setattr("chat.redaction.detect.Detector.find", broken)
    with pytest.raises(RedactionFailed) as refused:
        world.ask(messages=[said("user", MAIL)], data_handling=ON)
    assert (refused.value.status, refused.value.code) == (500, "redaction_failed")
    assert refused.value.__context__ is None
    assert world.provider.calls == []
    assert MAIL not in capsys.readouterr().out
    # and a demand that nobody knows is a fault as well
    world.redact = "emails"
    with pytest.raises(RedactionFailed):
        world.ask(messages=[said("user", "Hi")])
    assert world.provider.calls == []


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_cannot_be_restored_is_an_error_and_is_settled(
    monkeypatch: pytest.MonkeyPatch, stream: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World()
    world.provider.add(answer("a <EMAIL_1>"))

    def broken(self: object, piece: str) -> str:
        raise ValueError(piece + MAIL)

    monkeypatch.setattr("chat.redaction.placeholders.Reader.feed", broken)
    asked = {"messages": [said("user", MAIL)], "stream": stream, "data_handling": ON}
    if stream:
        *_, last = frames(world.ask(**asked))
        assert last["error"]["code"] == "redaction_failed"
    else:
        with pytest.raises(RedactionFailed) as refused:
            world.ask(**asked)
        assert refused.value.__context__ is None
    assert world.account.settled
    assert world.slots() == 0
    assert MAIL not in capsys.readouterr().out


def test_a_request_adds_to_the_demand_of_its_project_and_takes_nothing_away() -> None:
    for own, hidden in (
        ({"redact": False}, "<EMAIL_1> +14155552671 Jo Doe"),
        ({"redact": []}, "<EMAIL_1> +14155552671 Jo Doe"),
        ({"redact": ["phone"]}, "<EMAIL_1> <PHONE_1> Jo Doe"),
        ({"redact_values": ["jo doe"]}, "<EMAIL_1> +14155552671 <VALUE_1>"),
    ):
        world = World(redact="email")
        world.provider.add(answer("Fine."))
        world.ask(messages=[said("user", f"{MAIL} {PHONE} Jo Doe")], data_handling=own)
        assert world.provider.calls[0].messages[0]["content"] == hidden


def test_the_receipt_says_what_was_redacted_and_nothing_of_it() -> None:
    world = World()
    world.provider.add(answer("Fine."), answer("Fine."))
    asked = {"redact": ["email", "card"], "redact_values": ["Jo Doe"], "receipt": True}
    made = world.ask(messages=[said("user", f"{MAIL} Jo Doe a@x.de {MAIL}")], data_handling=asked)
    assert made.headers["data-handling"].endswith("training=no; redacted=email:2,value:1")
    told = whole(made)["data_handling"]["redaction"]
    assert told == {"kinds": ["email", "card", "value"], "values": {"email": 2, "value": 1}}
    assert world.ask(data_handling=ON).headers["data-handling"].endswith("; redacted=none")


def test_a_chat_that_does_not_ask_for_it_loads_nothing_of_it() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from tests.support.chat_world import World; from chat.providers.scripted import answer;"
        "w = World(); w.provider.add(answer('x')); b''.join(w.ask().body);"
        "assert not [m for m in sys.modules if m.startswith(('chat.redaction.', 'stdnum'))], sys.modules.keys()"
    )
    path = ["layers/core", "layers/runtime", "functions", "cli", "."]
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {path}; {code}"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
