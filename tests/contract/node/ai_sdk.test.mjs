// The Vercel AI SDK with its OpenAI-compatible provider against ChatAPI. `LIVE` as in client.test.mjs.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateText, isStepCount, Output, streamText, tool } from "ai";
import { z } from "zod";

const live = JSON.parse(process.env.LIVE);
const prompt = "Hello?";
const answer = "Hello from the scripted upstream.";
const using = (apiKey) =>
  createOpenAICompatible({
    name: "chatapi",
    baseURL: live.base_url,
    apiKey,
    includeUsage: true,
    supportsStructuredOutputs: true,
  })("smollm2-135m");
const model = using(live.api_key);
const control = (what, body = {}) => fetch(live.upstream + what, { method: "POST", body: JSON.stringify(body) });
const asked = async () => (await fetch(live.upstream + "/_requests")).json();
const weather = tool({
  description: "The weather in a city.",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `Sunny in ${city}.`,
});

beforeEach(() => control("/_reset"));

test("AI SDK: a whole answer, with its headers", async () => {
  const { text, usage, finishReason, response } = await generateText({ model, prompt });
  assert.equal(text, answer);
  assert.equal(finishReason, "stop");
  assert.equal(usage.outputTokens, 6);
  assert.match(response.id, /^chatcmpl-/);
  assert.ok(Number(response.headers["x-ratelimit-remaining-requests"]) > 0);
});

test("AI SDK: a stream with usage", async () => {
  const result = streamText({ model, prompt });
  const pieces = [];
  for await (const piece of result.textStream) pieces.push(piece);
  assert.equal(pieces.join(""), answer);
  assert.equal((await result.usage).outputTokens, 6);
  assert.equal(await result.finishReason, "stop");
});

for (const [how, run] of [
  ["whole", generateText],
  ["streamed", streamText],
]) {
  test(`AI SDK: a tool is called and its result goes back, ${how}`, async () => {
    await control("/_script", { tool_calls: [["weather", '{"city": "Wien"}']] });
    const result = await run({ model, prompt, tools: { weather }, stopWhen: isStepCount(2) });
    assert.equal(await result.text, answer);
    const steps = await result.steps;
    assert.deepEqual(steps[0].toolResults.map((one) => [one.input, one.output]), [[{ city: "Wien" }, "Sunny in Wien."]]);
    const { messages } = (await asked()).at(-1).body;
    assert.deepEqual(messages.map((one) => one.role), ["user", "assistant", "tool"]);
    assert.equal(messages[2].content, "Sunny in Wien.");
  });
}

test("AI SDK: structured output", async () => {
  await control("/_script", { pieces: ['{"name": "Wien", ', '"people": 2000000}'] });
  const output = Output.object({ schema: z.object({ name: z.string(), people: z.number() }) });
  const result = await generateText({ model, prompt, output });
  assert.deepEqual(result.output, { name: "Wien", people: 2000000 });
  assert.equal((await asked()).at(-1).body.response_format.type, "json_schema");
});

test("AI SDK: a wrong key", async () => {
  await assert.rejects(generateText({ model: using("sk-wrong"), prompt }), (error) => {
    assert.ok(APICallError.isInstance(error));
    assert.equal(error.statusCode, 401);
    assert.equal(error.data.error.code, "invalid_api_key");
    assert.equal(error.isRetryable, false);
    return true;
  });
});
