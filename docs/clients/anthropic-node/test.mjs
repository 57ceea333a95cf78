// Anthropic's own Node client against a running server, whatever its model says.
//
//   npm install --no-save --no-package-lock && node test.mjs http://127.0.0.1:8000 [KEY]

import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";

const [baseURL, apiKey] = process.argv.slice(2);
if (!baseURL) {
  console.error("usage: node test.mjs BASE_URL [KEY]");
  process.exit(2);
}
const client = new Anthropic({ baseURL, apiKey: apiKey ?? "none", authToken: null, maxRetries: 0 });
const messages = [{ role: "user", content: "What is 12 + 30?" }];
const { id: model, max_input_tokens: context } = (await client.models.list()).data[0];
const greedy = { model, messages, temperature: 0, max_tokens: 32 };
const thinking = { type: "enabled", budget_tokens: 1024 };

async function metric(name) {
  const headers = apiKey ? { "x-api-key": apiKey } : {};
  const text = await (await fetch(`${baseURL}/metrics`, { headers })).text();
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

/** All but the ids, which are drawn anew. */
const said = ({ content, stop_reason, stop_sequence }) => ({
  content: content.map(({ id: _, ...block }) => block),
  stop_reason,
  stop_sequence,
});
const prompt = ({ usage }) =>
  usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens;

/** What the whole answer says, after seeing that the streamed one says the same. */
async function both(request) {
  const whole = await client.messages.create(request);
  const stream = client.messages.stream(request);
  const types = [];
  let text = "";
  let thought = "";
  stream.on("streamEvent", (event) => types.push(event.type));
  stream.on("text", (delta) => (text += delta));
  stream.on("thinking", (delta) => (thought += delta));
  const streamed = await stream.finalMessage();
  assert.deepEqual(said(streamed), said(whole));
  assert.equal(prompt(streamed), prompt(whole));
  assert.equal(streamed.usage.output_tokens, whole.usage.output_tokens);
  const joined = (type, field) =>
    whole.content.filter((b) => b.type === type).map((b) => b[field]).join("");
  assert.equal(text, joined("text", "text"));
  assert.equal(thought, joined("thinking", "thinking"));
  assert.equal(types[0], "message_start");
  assert.deepEqual(types.slice(-2), ["message_delta", "message_stop"]);
  return whole;
}

const tests = {
  async models() {
    const all = [];
    for await (const info of client.models.list()) all.push(info.id);
    assert.ok(all.includes(model));
    const info = await client.models.retrieve(model);
    assert.equal(info.type, "model");
    assert.ok(info.display_name && !Number.isNaN(Date.parse(info.created_at)));
  },

  async "a message, whole and streamed"() {
    const message = await both(greedy);
    assert.match(message.id, /^msg_/);
    assert.equal(message.type, "message");
    assert.equal(message.role, "assistant");
    assert.equal(message.model, model);
    assert.ok(["end_turn", "max_tokens"].includes(message.stop_reason));
    assert.ok(message.usage.output_tokens > 0 && message.usage.output_tokens <= 32);
    assert.ok(message._request_id);
    assert.ok(message.content.every((block) => block.type === "text"), "nobody asked for a thought");
  },

  async "a thought within its budget"() {
    const message = await both({ ...greedy, max_tokens: 1100, thinking });
    const [thought, ...rest] = message.content;
    if (thought.type === "thinking") assert.ok(thought.signature && thought.thinking);
    assert.ok(message.usage.output_tokens_details.thinking_tokens <= 1024);
    // the conversation goes on with the thought sent back
    const next = await client.messages.create({
      ...greedy,
      messages: [
        ...messages,
        { role: "assistant", content: [thought, ...rest] },
        { role: "user", content: "And 1 more?" },
      ],
    });
    assert.equal(next.type, "message");
    const omitted = await both({
      ...greedy,
      max_tokens: 200,
      thinking: { type: "adaptive", display: "omitted" },
    });
    for (const block of omitted.content) {
      if (block.type === "thinking") assert.equal(block.thinking, "");
    }
  },

  async "a stop sequence is not sent"() {
    const first = (await client.messages.create(greedy)).content[0]?.text ?? "";
    if (first.length < 8) return;
    const stop = first.slice(3, 6);
    const message = await both({ ...greedy, stop_sequences: ["no such text", stop] });
    assert.equal(message.stop_reason, "stop_sequence");
    assert.equal(message.stop_sequence, stop);
    assert.equal(message.content[0].text, first.slice(0, first.indexOf(stop)));
  },

  async "a forced tool call, and its result"() {
    const tools = [
      {
        name: "convert",
        description: "Converts a length.",
        input_schema: {
          type: "object",
          properties: { a: { type: "integer" }, unit: { enum: ["cm", "inch"] } },
          required: ["a", "unit"],
          additionalProperties: false,
        },
      },
    ];
    const request = {
      ...greedy,
      max_tokens: 400,
      tools,
      tool_choice: { type: "any", disable_parallel_tool_use: true },
    };
    const message = await both(request);
    assert.equal(message.stop_reason, "tool_use");
    const [call] = message.content.filter((block) => block.type === "tool_use");
    assert.match(call.id, /^toolu_/);
    assert.equal(call.name, "convert");
    assert.ok(Number.isInteger(call.input.a) && ["cm", "inch"].includes(call.input.unit));
    const next = {
      ...greedy,
      tools,
      messages: [
        ...messages,
        { role: "assistant", content: message.content },
        {
          role: "user",
          content: [
            { type: "tool_result", tool_use_id: call.id, content: [{ type: "text", text: "1" }] },
            { type: "text", text: "So?", cache_control: { type: "ephemeral" } },
          ],
        },
      ],
    };
    assert.equal((await client.messages.create(next)).type, "message");
    const failed = structuredClone(next);
    failed.messages.at(-1).content[0].is_error = true;
    assert.notEqual(
      (await client.messages.countTokens({ ...failed, max_tokens: undefined })).input_tokens,
      (await client.messages.countTokens({ ...next, max_tokens: undefined })).input_tokens,
    );
  },

  async "an answer by its JSON schema"() {
    const schema = {
      type: "object",
      properties: { sum: { type: "integer", minimum: 0, maximum: 999 } },
      required: ["sum"],
      additionalProperties: false,
    };
    const message = await client.messages.create({
      ...greedy,
      max_tokens: 400,
      output_config: { format: { type: "json_schema", schema } },
    });
    const { sum } = JSON.parse(message.content[0].text);
    assert.ok(Number.isInteger(sum) && sum >= 0 && sum <= 999);
  },

  async "an answer that is begun is continued"() {
    const begun = await client.messages.create({
      ...greedy,
      messages: [...messages, { role: "assistant", content: "The answer is" }],
    });
    assert.equal(begun.role, "assistant");
  },

  async "counted tokens are those of the prompt"() {
    const system = [{ type: "text", text: "Be brief.", cache_control: { type: "ephemeral" } }];
    for (const change of [{}, { system }, { thinking: { type: "adaptive" } }]) {
      const { temperature: _, max_tokens: __, ...counted } = { ...greedy, ...change };
      const { input_tokens } = await client.messages.countTokens(counted);
      assert.equal(input_tokens, prompt(await client.messages.create({ ...greedy, ...change })));
    }
  },

  async "leaving a stream frees its sequence"() {
    const stream = client.messages.stream({ ...greedy, max_tokens: context, ignore_eos: true });
    let events = 0;
    await assert.rejects(
      (async () => {
        for await (const _ of stream) if (++events === 5) stream.abort();
        await stream.finalMessage();
      })(),
      Anthropic.APIUserAbortError,
    );
    await idle();
  },

  async "the tool runner's loop"() {
    let calls = 0;
    const runner = client.beta.messages.toolRunner({
      ...greedy,
      max_tokens: 300,
      max_iterations: 2,
      tool_choice: { type: "tool", name: "now" },
      tools: [
        {
          name: "now",
          description: "The time.",
          input_schema: { type: "object", properties: {}, additionalProperties: false },
          parse: (input) => input,
          run: () => `${++calls} o'clock`,
        },
      ],
    });
    const last = await runner;
    assert.ok(calls >= 1 && last.type === "message");
  },

  async errors() {
    const refused = (change, error, type, says) =>
      assert.rejects(client.messages.create({ ...greedy, ...change }), (e) => {
        assert.ok(e instanceof error, `${e.constructor.name} instead of ${error.name}`);
        assert.equal(e.error.type, "error");
        assert.equal(e.error.error.type, type);
        assert.ok(e.error.error.message.includes(says), e.error.error.message);
        assert.equal(e.requestID, e.error.request_id);
        return true;
      });
    const bad = (change, says) =>
      refused(change, Anthropic.BadRequestError, "invalid_request_error", says);
    await bad({ temperature: 2 }, "temperature: must be between 0 and 1");
    await bad({ max_tokens: 0 }, "max_tokens: ");
    await bad({ thinking: { type: "enabled", budget_tokens: 5 } }, "thinking.budget_tokens: ");
    await bad(
      { messages: [{ role: "user", content: [{ type: "image", source: {} }] }] },
      "messages.0.content.0.type: must be text",
    );
    await bad(
      { tools: [{ type: "web_search_20250305", name: "web_search" }] },
      "tools.0.type: must be custom",
    );
    await bad(
      { messages: [{ role: "user", content: "word ".repeat(2 * context) }] },
      "prompt is too long",
    );
    await refused({ model: "no-such" }, Anthropic.NotFoundError, "not_found_error", "no-such");
    await assert.rejects(client.models.retrieve("no-such"), Anthropic.NotFoundError);
    await assert.rejects(
      client.messages.create({ ...greedy, max_tokens: 0, stream: true }),
      Anthropic.BadRequestError,
    );
    if (apiKey) {
      const stranger = new Anthropic({ baseURL, apiKey: `${apiKey}x`, maxRetries: 0 });
      await assert.rejects(stranger.messages.create(greedy), Anthropic.AuthenticationError);
      const bearer = new Anthropic({ baseURL, apiKey: null, authToken: apiKey, maxRetries: 0 });
      assert.equal((await bearer.messages.create(greedy)).type, "message");
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
