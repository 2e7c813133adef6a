// openai-node, unchanged, with responses and conversations. `LIVE` says where, as in client.test.mjs.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import OpenAI from "openai";

const live = JSON.parse(process.env.LIVE);
const model = "smollm2-135m";
const answer = "Hello from the scripted upstream.";
const parameters = { type: "object", properties: { city: { type: "string" } } };
const tools = [{ type: "function", name: "weather", parameters, strict: false }];
const twoCalls = { tool_calls: [["weather", '{"city": "Wien"}'], ["weather", '{"city": "Graz"}']] };

const client = new OpenAI({ baseURL: live.base_url, apiKey: live.api_key });
const stranger = new OpenAI({ baseURL: live.base_url, apiKey: live.stranger });
const control = (what, body = {}) => fetch(live.upstream + what, { method: "POST", body: JSON.stringify(body) });
const asked = async () => (await fetch(live.upstream + "/_requests")).json();

async function collect(pages) {
  const all = [];
  for await (const one of pages) all.push(one);
  return all;
}

beforeEach(() => control("/_reset"));

test("a whole response", async () => {
  const response = await client.responses.create({ model, input: "Hello?" });
  assert.equal(response.output_text, answer);
  assert.equal(response.status, "completed");
  assert.equal(response.usage.total_tokens, response.usage.input_tokens + response.usage.output_tokens);
});

test("the events of a response come in order", async () => {
  const events = await collect(await client.responses.create({ model, input: "Hello?", stream: true }));
  assert.deepEqual(events.map((event) => event.sequence_number), events.map((_, n) => n));
  assert.equal(events[0].type, "response.created");
  assert.equal(events.at(-1).type, "response.completed");
  assert.equal(events.map((event) => (event.type === "response.output_text.delta" ? event.delta : "")).join(""), answer);
});

test("the response stream helper puts calls together", async () => {
  await control("/_script", twoCalls);
  const response = await client.responses.stream({ model, input: "Hello?", tools }).finalResponse();
  assert.deepEqual(
    response.output.map((item) => [item.type, JSON.parse(item.arguments).city]),
    [["function_call", "Wien"], ["function_call", "Graz"]],
  );
});

test("a response is parsed", async () => {
  await control("/_script", { pieces: ['{"name": ', '"Ann"}'] });
  const format = { type: "json_schema", name: "fact", schema: { type: "object" }, strict: true };
  const response = await client.responses.parse({ model, input: "Who?", text: { format } });
  assert.deepEqual(response.output_parsed, { name: "Ann" });
});

test("a response that breaks raises", async () => {
  await control("/_script", { pieces: ["one", "two"], error_after: 1 });
  await assert.rejects(
    async () => collect(await client.responses.create({ model, input: "Hello?", stream: true })),
    (error) => error instanceof OpenAI.APIError && error.code === "service_unavailable",
  );
});

test("stored responses are retrieved, streamed again, continued and deleted", async () => {
  const first = await client.responses.create({ model, input: "One", store: true });
  assert.deepEqual((await client.responses.retrieve(first.id)).output, first.output);
  assert.equal((await client.responses.stream({ response_id: first.id }).finalResponse()).output_text, answer);
  await client.responses.create({ model, input: "Two", previous_response_id: first.id });
  const [, second] = await asked();
  assert.deepEqual(second.body.messages.map((one) => one.content), ["One", answer, "Two"]);
  const [item] = await collect(client.responses.inputItems.list(first.id));
  assert.equal(item.content[0].text, "One");
  await assert.rejects(client.responses.cancel(first.id), OpenAI.BadRequestError);
  await assert.rejects(stranger.responses.retrieve(first.id), OpenAI.NotFoundError);
  await client.responses.delete(first.id);
  await assert.rejects(client.responses.retrieve(first.id), OpenAI.NotFoundError);
});

test("conversations are made, filled, continued, paged through and deleted", async () => {
  const { id } = await client.conversations.create();
  await client.conversations.update(id, { metadata: { k: "v" } });
  assert.deepEqual((await client.conversations.retrieve(id)).metadata, { k: "v" });
  const said = (content) => ({ type: "message", role: "user", content });
  await client.conversations.items.create(id, { items: [said("a"), said("b"), said("c")] });
  const response = await client.responses.create({ model, input: "d", conversation: id });
  assert.equal(response.conversation.id, id);
  const items = await collect(client.conversations.items.list(id, { limit: 2, order: "asc" }));
  assert.deepEqual(items.map((item) => item.content[0].text), ["a", "b", "c", "d", answer]);
  const one = { conversation_id: id };
  assert.deepEqual(await client.conversations.items.retrieve(items[0].id, one), items[0]);
  await client.conversations.items.delete(items[0].id, one);
  await assert.rejects(client.conversations.items.retrieve(items[0].id, one), OpenAI.NotFoundError);
  await assert.rejects(stranger.conversations.retrieve(id), OpenAI.NotFoundError);
  assert.equal((await client.conversations.delete(id)).deleted, true);
  await assert.rejects(client.conversations.retrieve(id), OpenAI.NotFoundError);
});
