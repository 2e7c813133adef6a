// openai-node, unchanged, against ChatAPI. `LIVE` says where: {base_url, api_key, stranger, spent, unscoped, upstream}.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import OpenAI from "openai";

const live = JSON.parse(process.env.LIVE);
const model = "smollm2-135m";
const messages = [{ role: "user", content: "Hello?" }];
const answer = "Hello from the scripted upstream.";
const weather = {
  type: "function",
  function: { name: "weather", parameters: { type: "object", properties: { city: { type: "string" } } } },
};
const twoCalls = { tool_calls: [["weather", '{"city": "Wien"}'], ["weather", '{"city": "Graz"}']] };

const using = (apiKey, options) => new OpenAI({ baseURL: live.base_url, apiKey, ...options });
const client = using(live.api_key);
const control = (what, body = {}) => fetch(live.upstream + what, { method: "POST", body: JSON.stringify(body) });
const asked = async () => (await fetch(live.upstream + "/_requests")).json();

async function collect(pages) {
  const all = [];
  for await (const one of pages) all.push(one);
  return all;
}

function refusal(kind, status, code, param = null) {
  return (error) => {
    assert.ok(error instanceof kind, error);
    assert.deepEqual([error.status, error.code, error.param], [status, code, param]);
    assert.equal(typeof error.type, "string");
    assert.match(error.requestID, /^[0-9a-f-]{36}$/);
    assert.deepEqual(Object.keys(error.error).sort(), ["code", "message", "param", "type"]);
    return true;
  };
}

beforeEach(() => control("/_reset"));

test("models are listed and retrieved", async () => {
  const models = await collect(client.models.list());
  assert.ok(models.some((one) => one.id === model));
  assert.equal((await client.models.retrieve(model)).object, "model");
});

test("a whole answer, with its headers", async () => {
  const { data, response, request_id } = await client.chat.completions.create({ model, messages }).withResponse();
  assert.match(data.id, /^chatcmpl-[0-9A-Za-z]{29}$/);
  assert.equal(data.choices[0].message.content, answer);
  assert.equal(data.usage.total_tokens, data.usage.prompt_tokens + data.usage.completion_tokens);
  assert.equal(request_id, response.headers.get("x-request-id"));
  assert.ok(Number(response.headers.get("x-ratelimit-remaining-tokens")) > 0);
  assert.match(response.headers.get("data-handling"), /^retained=none; .*training=no$/);
  assert.ok(response.headers.get("privacy-policy-version"));
});

test("a raw stream", async () => {
  const options = { include_usage: true };
  const chunks = await collect(
    await client.chat.completions.create({ model, messages, stream: true, stream_options: options }),
  );
  const last = chunks.pop();
  assert.equal(chunks.map((chunk) => chunk.choices[0].delta.content ?? "").join(""), answer);
  assert.equal(chunks[0].choices[0].delta.role, "assistant");
  assert.equal(chunks.filter((chunk) => chunk.choices[0].delta.role).length, 1);
  assert.equal(chunks.at(-1).choices[0].finish_reason, "stop");
  assert.ok(chunks.every((chunk) => chunk.usage === null && chunk.id === last.id));
  assert.deepEqual(last.choices, []);
  assert.equal(last.usage.completion_tokens, 6);
});

test("the stream helper keeps text and usage", async () => {
  const stream = client.chat.completions.stream({ model, messages, stream_options: { include_usage: true } });
  let text = "";
  stream.on("content", (delta) => (text += delta));
  const completion = await stream.finalChatCompletion();
  assert.equal(text, answer);
  assert.equal(completion.choices[0].message.content, answer);
  assert.equal(completion.choices[0].message.role, "assistant");
  assert.equal((await stream.totalUsage()).completion_tokens, 6);
});

test("the stream helper puts tool calls together", async () => {
  await control("/_script", twoCalls);
  const stream = client.chat.completions.stream({ model, messages, tools: [weather] });
  const { message, finish_reason } = (await stream.finalChatCompletion()).choices[0];
  assert.equal(finish_reason, "tool_calls");
  assert.deepEqual(
    message.tool_calls.map((call) => [call.type, call.function.name, JSON.parse(call.function.arguments).city]),
    [["function", "weather", "Wien"], ["function", "weather", "Graz"]],
  );
  assert.equal(new Set(message.tool_calls.map((call) => call.id)).size, 2);
});

test("the stream helper puts the call of a custom tool together", async () => {
  await control("/_script", { tool_calls: [["shell", '{"input": "ls"}']] });
  const tools = [{ type: "custom", custom: { name: "shell" } }];
  const { message } = (await client.chat.completions.stream({ model, messages, tools }).finalChatCompletion()).choices[0];
  assert.deepEqual(message.tool_calls.map((call) => [call.type, call.custom]), [["custom", { name: "shell", input: "ls" }]]);
});

for (const stream of [false, true]) {
  test(`the tool runner calls the functions and answers, ${stream ? "streamed" : "whole"}`, async () => {
    await control("/_script", twoCalls);
    const asked_for = [];
    const run = ({ city }) => (asked_for.push(city), "sunny");
    const runner = client.chat.completions.runTools({
      model,
      messages,
      stream,
      tools: [{ type: "function", function: { ...weather.function, function: run, parse: JSON.parse } }],
    });
    assert.equal(await runner.finalContent(), answer);
    assert.deepEqual(asked_for, ["Wien", "Graz"]);
    const [, second] = await asked();
    assert.deepEqual(second.body.messages.map((one) => one.role), ["user", "assistant", "tool", "tool"]);
  });
}

test("each token arrives before the next is made", async () => {
  await control("/_script", { pieces: Array.from({ length: 50 }, (_, n) => `<${n}>`), gated: true });
  let arrived = 0;
  for await (const chunk of await client.chat.completions.create({ model, messages, stream: true })) {
    arrived += chunk.choices[0].delta.content ? 1 : 0;
    await control("/_release");
  }
  assert.equal(arrived, 50);
});

test("errors have their classes, codes and params", async () => {
  const once = using(live.api_key, { maxRetries: 0 });
  const chat = (changes, who = once) => who.chat.completions.create({ model, messages, ...changes });
  const cases = [
    [() => chat({ messages: [] }), OpenAI.BadRequestError, 400, "empty_array", "messages"],
    [() => chat({ messages: [{ role: "user", content: 5 }] }), OpenAI.BadRequestError, 400, "invalid_type", "messages[0].content"],
    [() => chat({ model: "gpt-99" }), OpenAI.NotFoundError, 404, "model_not_found", "model"],
    [() => once.chat.completions.retrieve("chatcmpl-none"), OpenAI.NotFoundError, 404, "not_found"],
    [() => once.files.list(), OpenAI.NotFoundError, 404, "not_found"],
    [() => chat({}, using("sk-none")), OpenAI.AuthenticationError, 401, "invalid_api_key"],
    [() => chat({}, using(live.unscoped)), OpenAI.PermissionDeniedError, 403, "insufficient_scope"],
    [() => chat({}, using(live.spent)), OpenAI.RateLimitError, 429, "insufficient_quota"],
    [() => chat({ messages: [{ role: "user", content: "x".repeat(4 << 20) }] }), OpenAI.APIError, 413, "request_too_large"],
  ];
  for (const [act, ...expected] of cases) await assert.rejects(async () => act(), refusal(...expected));
  await control("/_script", { status: 500 });
  await assert.rejects(chat({}), refusal(OpenAI.InternalServerError, 503, "service_unavailable"));
});

test("a final 429 is not tried again", async () => {
  let sent = 0;
  const counting = (...request) => (sent++, fetch(...request));
  await assert.rejects(using(live.spent, { fetch: counting }).models.list(), OpenAI.RateLimitError);
  assert.equal(sent, 1);
});

test("a fault of the model is tried again", async () => {
  await control("/_script", { status: 500 });
  assert.equal((await client.chat.completions.create({ model, messages })).choices[0].message.content, answer);
  assert.equal((await asked()).length, 2);
});

test("an error in mid-stream raises", async () => {
  await control("/_script", { pieces: ["one", "two", "three"], error_after: 2 });
  const came = [];
  await assert.rejects(async () => {
    const stream = await client.chat.completions.create({ model, messages, stream: true });
    for await (const chunk of stream) came.push(chunk.choices[0].delta.content);
  }, (error) => error instanceof OpenAI.APIError && error.code === "service_unavailable");
  assert.deepEqual(came, ["", "one", "two"]);
});

test("stored completions are retrieved, paged through and deleted", async () => {
  const ids = [];
  for (let n = 0; n < 3; n++) {
    ids.push((await client.chat.completions.create({ model, messages, store: true, metadata: { node: "1" } })).id);
  }
  assert.equal((await client.chat.completions.retrieve(ids[0])).choices[0].message.content, answer);
  const listed = await collect(client.chat.completions.list({ limit: 1, metadata: { node: "1" } }));
  assert.deepEqual(listed.map((one) => one.id), ids);
  const [message] = await collect(client.chat.completions.messages.list(ids[0]));
  assert.deepEqual([message.id, message.role, message.content], [`${ids[0]}-0`, "user", "Hello?"]);
  await assert.rejects(using(live.stranger).chat.completions.retrieve(ids[0]), OpenAI.NotFoundError);
  for (const id of ids) assert.equal((await client.chat.completions.delete(id)).deleted, true);
  await assert.rejects(client.chat.completions.retrieve(ids[0]), OpenAI.NotFoundError);
});
