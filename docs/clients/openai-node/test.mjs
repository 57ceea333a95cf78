// OpenAI's own Node client against a running server, whatever its model says.
//
//   npm install --no-save --no-package-lock && node test.mjs http://127.0.0.1:8000/v1 [KEY]

import assert from "node:assert/strict";
import OpenAI from "openai";

const [baseURL, apiKey] = process.argv.slice(2);
if (!baseURL) {
  console.error("usage: node test.mjs BASE_URL [KEY]");
  process.exit(2);
}
const client = new OpenAI({ baseURL, apiKey: apiKey ?? "none", maxRetries: 0 });
const origin = new URL(baseURL).origin;
const messages = [{ role: "user", content: "Say something." }];
const { id: model, max_model_len: maxModelLen } = (await client.models.list()).data[0];
const greedy = { model, messages, temperature: 0, max_tokens: 24 };

const thought = (message) => message.reasoning_content ?? "";
const said = (message) => message.content ?? "";

/** The choices of a stream put together, and what else its chunks must be. */
async function gather(stream) {
  const choices = [];
  const ids = new Set();
  let usage = null;
  for await (const chunk of stream) {
    ids.add(`${chunk.id} ${chunk.created}`);
    usage = chunk.usage ?? usage;
    for (const { index, delta, finish_reason } of chunk.choices) {
      const known = choices[index];
      const choice = (choices[index] ??= { content: "", reasoning_content: "", finish: null });
      assert.equal(choice.finish, null, "nothing follows the finish");
      assert.equal(delta.role, known ? undefined : "assistant", "the role comes first, once");
      assert.equal(delta.reasoning, delta.reasoning_content);
      choice.content += delta.content ?? "";
      choice.reasoning_content += delta.reasoning_content ?? "";
      choice.finish = finish_reason ?? null;
    }
  }
  assert.equal(ids.size, 1, "one id and one time for all chunks");
  return { choices, usage };
}

async function metric(name) {
  const headers = apiKey ? { authorization: `Bearer ${apiKey}` } : {};
  const text = await (await fetch(`${origin}/metrics`, { headers })).text();
  const line = text.split("\n").find((l) => l.startsWith(`${name}{`));
  assert.ok(line, `${name} is a metric`);
  return Number(line.split(" ").at(-1));
}

async function idle() {
  for (let i = 0; i < 100; i++) {
    const running = await metric("vllm:num_requests_running");
    if (running + (await metric("vllm:num_requests_waiting")) === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail("sequences still run after 10 s");
}

const tests = {
  async models() {
    assert.equal((await client.models.retrieve(model)).id, model);
  },

  async chat() {
    const answer = await client.chat.completions.create(greedy);
    const { prompt_tokens, completion_tokens, total_tokens } = answer.usage;
    assert.equal(answer.object, "chat.completion");
    assert.equal(answer.choices[0].message.role, "assistant");
    assert.ok(["stop", "length"].includes(answer.choices[0].finish_reason));
    assert.ok(prompt_tokens > 0 && completion_tokens > 0 && completion_tokens <= 24);
    assert.equal(total_tokens, prompt_tokens + completion_tokens);
    assert.ok(answer.usage.completion_tokens_details.reasoning_tokens <= completion_tokens);
    assert.ok(answer.usage.prompt_tokens_details.cached_tokens <= prompt_tokens);
    assert.ok(answer.system_fingerprint);
  },

  async "stream says what the whole answer says"() {
    const whole = await client.chat.completions.create(greedy);
    const { choices, usage } = await gather(
      await client.chat.completions.create({
        ...greedy,
        stream: true,
        stream_options: { include_usage: true },
      }),
    );
    assert.equal(choices[0].content, said(whole.choices[0].message));
    assert.equal(choices[0].reasoning_content, thought(whole.choices[0].message));
    assert.equal(choices[0].finish, whole.choices[0].finish_reason);
    assert.equal(usage.completion_tokens, whole.usage.completion_tokens);
  },

  async "a seed fixes three different choices"() {
    const request = { model, messages, n: 3, seed: 42, temperature: 1, max_tokens: 16 };
    const whole = await client.chat.completions.create(request);
    const { choices } = await gather(
      await client.chat.completions.create({ ...request, stream: true }),
    );
    assert.deepEqual(whole.choices.map((c) => c.index), [0, 1, 2]);
    for (const { index, message } of whole.choices) {
      assert.equal(choices[index].content, said(message));
      assert.equal(choices[index].reasoning_content, thought(message));
    }
  },

  async logprobs() {
    const answer = await client.chat.completions.create({
      ...greedy,
      logprobs: true,
      top_logprobs: 2,
    });
    const { content } = answer.choices[0].logprobs;
    assert.equal(content.length, answer.usage.completion_tokens);
    for (const { logprob, bytes, top_logprobs } of content) {
      assert.ok(logprob <= 0 && logprob >= -9999);
      assert.ok(bytes.every((b) => b >= 0 && b < 256));
      assert.equal(top_logprobs.length, 2);
      assert.ok(top_logprobs[0].logprob >= top_logprobs[1].logprob);
    }
  },

  async "leaving a stream frees its sequence"() {
    const stream = await client.chat.completions.create({
      model,
      messages,
      stream: true,
      ignore_eos: true,
    });
    let chunks = 0;
    for await (const _ of stream) {
      if (++chunks === 3) break;
    }
    await idle();
  },

  async "legacy completions"() {
    const request = { model, prompt: "Once upon", temperature: 0, max_tokens: 16 };
    const whole = await client.completions.create(request);
    let text = "";
    for await (const part of await client.completions.create({ ...request, stream: true })) {
      text += part.choices[0]?.text ?? "";
    }
    assert.equal(text, whole.choices[0].text);
    const many = await client.completions.create({ ...request, prompt: ["A", "B"], n: 2 });
    assert.deepEqual(many.choices.map((c) => c.index), [0, 1, 2, 3]);
    const echoed = await client.completions.create({ ...request, echo: true, logprobs: 1 });
    const { tokens, token_logprobs } = echoed.choices[0].logprobs;
    assert.ok(echoed.choices[0].text.startsWith("Once upon"));
    assert.equal(tokens.length, token_logprobs.length);
    assert.equal(token_logprobs[0], null);
    assert.ok(token_logprobs.slice(1).every((l) => l <= 0));
  },

  async "a stop string is not sent"() {
    const request = { model, prompt: "Once upon", temperature: 0, max_tokens: 24 };
    const { text } = (await client.completions.create(request)).choices[0];
    if (text.length < 8) return;
    const stop = text.slice(4, 7);
    const choice = (await client.completions.create({ ...request, stop })).choices[0];
    assert.equal(choice.text, text.slice(0, text.indexOf(stop)));
    assert.equal(choice.finish_reason, "stop");
    assert.equal(choice.stop_reason, stop);
  },

  async "a required tool call, whole and streamed"() {
    const parameters = {
      type: "object",
      properties: { a: { type: "integer" }, unit: { enum: ["cm", "inch"] } },
      required: ["a", "unit"],
      additionalProperties: false,
    };
    const tools = [{ type: "function", function: { name: "convert", parameters } }];
    const request = {
      ...greedy,
      max_tokens: 400,
      tools,
      tool_choice: "required",
      parallel_tool_calls: false,
    };
    const { message, finish_reason } = (await client.chat.completions.create(request)).choices[0];
    assert.equal(finish_reason, "tool_calls");
    const [call] = message.tool_calls;
    assert.equal(call.function.name, "convert");
    const { a, unit } = JSON.parse(call.function.arguments);
    assert.ok(Number.isInteger(a) && ["cm", "inch"].includes(unit));
    const streamed = await client.chat.completions.stream(request).finalChatCompletion();
    assert.deepEqual(streamed.choices[0].message.tool_calls[0].function, call.function);
    const next = await client.chat.completions.create({
      ...greedy,
      tools,
      messages: [...messages, message, { role: "tool", tool_call_id: call.id, content: "1" }],
    });
    assert.ok(next.choices.length === 1);
  },

  async "an answer by its JSON schema"() {
    const schema = {
      type: "object",
      properties: {
        sum: { type: "integer", minimum: 0, maximum: 999 },
        tags: { type: "array", items: { enum: ["odd", "even"] }, minItems: 1, maxItems: 2 },
      },
      required: ["sum", "tags"],
      additionalProperties: false,
    };
    const answer = await client.chat.completions.create({
      ...greedy,
      max_tokens: 400,
      n: 3,
      temperature: 1,
      seed: 3,
      response_format: { type: "json_schema", json_schema: { name: "s", strict: true, schema } },
    });
    for (const { message, finish_reason } of answer.choices) {
      assert.equal(finish_reason, "stop");
      const { sum, tags } = JSON.parse(message.content);
      assert.ok(Number.isInteger(sum) && sum >= 0 && sum <= 999);
      assert.ok(tags.length <= 2 && tags.every((tag) => ["odd", "even"].includes(tag)));
    }
    const choice = ["red", "green"];
    const chosen = await client.chat.completions.create({
      ...greedy,
      max_tokens: 400,
      structured_outputs: { choice },
    });
    assert.ok(choice.includes(chosen.choices[0].message.content));
  },

  async responses() {
    const request = { model, input: "What is 1 + 2?", temperature: 0, max_output_tokens: 64 };
    const whole = await client.responses.create(request);
    assert.equal(whole.object, "response");
    assert.ok(["completed", "incomplete"].includes(whole.status));
    assert.ok(whole.usage.output_tokens > 0);
    let text = "";
    for await (const event of await client.responses.create({ ...request, stream: true })) {
      if (event.type === "response.output_text.delta") text += event.delta;
    }
    assert.equal(text, whole.output_text);
  },

  async "a stored response is gone on from"() {
    const request = { model, temperature: 0, max_output_tokens: 64 };
    const first = await client.responses.create({ ...request, input: "What is 1 + 2?" });
    if (!first.store) return; // the server stores none
    assert.deepEqual((await client.responses.retrieve(first.id)).output, first.output);
    const more = { ...request, input: "And 1 more?", previous_response_id: first.id };
    const next = await client.responses.create(more);
    assert.equal(next.previous_response_id, first.id);
    assert.ok(next.usage.input_tokens > first.usage.input_tokens);
    await client.responses.delete(first.id);
    await assert.rejects(client.responses.retrieve(first.id), OpenAI.NotFoundError);
    await assert.rejects(client.responses.create(more), OpenAI.BadRequestError);
    assert.equal((await client.responses.retrieve(next.id)).id, next.id);
  },

  async errors() {
    const refused = (change, type, expected) =>
      assert.rejects(client.chat.completions.create({ ...greedy, ...change }), (e) => {
        assert.ok(e instanceof type, `${e.constructor.name} instead of ${type.name}`);
        for (const [key, value] of Object.entries(expected)) assert.equal(e[key], value);
        return true;
      });
    await refused({ temperature: -1 }, OpenAI.BadRequestError, { param: "temperature" });
    await refused({ messages: [] }, OpenAI.BadRequestError, { param: "messages" });
    await refused({ model: "no-such" }, OpenAI.NotFoundError, { code: "model_not_found" });
    await refused({ max_tokens: maxModelLen }, OpenAI.BadRequestError, {
      code: "context_length_exceeded",
    });
    await assert.rejects(client.models.retrieve("no/such"), OpenAI.NotFoundError);
    if (apiKey) {
      const stranger = new OpenAI({ baseURL, apiKey: `${apiKey}x`, maxRetries: 0 });
      await assert.rejects(stranger.models.list(), OpenAI.AuthenticationError);
    }
  },
};

for (const [name, test] of Object.entries(tests)) {
  try {
    await test();
    console.log(`ok ${name}`);
  } catch (e) {
    console.error(`FAILED ${name}`);
    console.error(e);
    process.exit(1);
  }
}
await idle();
console.log(`${Object.keys(tests).length} tests passed`);
