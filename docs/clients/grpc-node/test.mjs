// gRPC's own Node client against a running server, by reflection, whatever its model says.
//
//   npm install --no-save --no-package-lock && node test.mjs 127.0.0.1:9000 [KEY ADMIN_KEY]
//
// Control needs the admin key where the server has keys.

import assert from "node:assert/strict";
import grpc from "@grpc/grpc-js";
import { reflect } from "./reflection.mjs";

const [address, apiKey, adminKey] = process.argv.slice(2);
if (!address) {
  console.error("usage: node test.mjs HOST:PORT [KEY ADMIN_KEY]");
  process.exit(2);
}
const credentials = grpc.credentials.createInsecure();
const withKey = (key) => {
  const metadata = new grpc.Metadata();
  if (key) metadata.set("authorization", `Bearer ${key}`);
  return metadata;
};
const metadata = withKey(apiKey);
const admin = withKey(adminKey ?? apiKey);

const { services, packages } = await reflect(address, credentials, metadata, [
  "tercel.v1.Inference",
  "tercel.v1.Control",
  "grpc.health.v1.Health",
]);
const inference = new packages.tercel.v1.Inference(address, credentials);
const control = new packages.tercel.v1.Control(address, credentials);
const health = new packages.grpc.health.v1.Health(address, credentials);

const deadline = () => ({ deadline: Date.now() + 60_000 });

function unary(client, method, request, as = client === control ? admin : metadata) {
  return new Promise((resolve, reject) =>
    client[method](request, as, deadline(), (e, answer) => (e ? reject(e) : resolve(answer))),
  );
}

/** All messages of a stream; fails as the stream fails. */
async function all(stream) {
  const messages = [];
  for await (const message of stream) messages.push(message);
  return messages;
}

const generate = (request, as = metadata) => inference.Generate(request, as, deadline());
const chat = (body) =>
  inference.ChatCompletions({ json: Buffer.from(JSON.stringify(body)) }, metadata, deadline());
const greedy = { text: "Say something.", temperature: 0, max_tokens: 24, ignore_eos: true };
const { limits } = await unary(control, "GetInfo", {});
const endless = { ...greedy, max_tokens: Math.min(20_000, limits.max_model_len - 100) };
const messages = [{ role: "user", content: "Say something." }];

async function idle() {
  for (let i = 0; i < 100; i++) {
    const { running, waiting } = await unary(control, "GetInfo", {});
    if (running + waiting === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail("sequences still run after 10 s");
}

const tests = {
  async reflection() {
    for (const name of ["tercel.v1.Inference", "tercel.v1.Control", "grpc.health.v1.Health"]) {
      assert.ok(services.includes(name), `${name} among ${services}`);
    }
  },

  async health() {
    for (const service of ["", "tercel.v1.Inference", "tercel.v1.Control"]) {
      const { status } = await unary(health, "Check", { service }, new grpc.Metadata());
      assert.equal(status, "SERVING");
    }
  },

  async info() {
    const info = await unary(control, "GetInfo", {});
    assert.ok(info.model_names[0]);
    assert.ok(info.limits.max_model_len > 24);
    assert.ok(info.kv_cache.num_blocks > 0);
    const { algorithm, digest } = await unary(control, "GetWeightChecksum", {});
    assert.equal(algorithm, "sha-256");
    assert.match(digest, /^[0-9a-f]{64}$/);
  },

  async generate() {
    const gathered = async (request) => {
      const stream = await all(generate(request));
      assert.equal(stream[0].event, "started");
      assert.equal(stream.at(-1).event, "usage");
      const deltas = stream.filter((m) => m.event === "delta").map((m) => m.delta);
      const ids = deltas.flatMap(({ tokens }) => tokens.map(({ id }) => id));
      assert.equal(ids.length, stream.at(-1).usage.completion_tokens);
      return { ids, text: deltas.map(({ text }) => text).join(""), stream };
    };
    const first = await gathered(greedy);
    const end = first.stream.find((m) => m.event === "choice_end").choice_end;
    assert.equal(end.finish_reason, "FINISH_REASON_LENGTH");
    const again = await gathered({ ...greedy, return_text: false });
    assert.deepEqual(again.ids, first.ids);
    assert.equal(again.text, "");
    assert.equal(again.stream.length, 24 + 3, "a message a token");
    const sampled = { ...greedy, temperature: 1, seed: 5, n: 3, logprobs: 2 };
    const [one, two] = [await gathered(sampled), await gathered(sampled)];
    const deltas = ({ stream }) => stream.filter((m) => m.event === "delta").map((m) => m.delta);
    for (const index of [0, 1, 2]) {
      const of = (g) => deltas(g).filter((d) => d.index === index).flatMap((d) => d.tokens);
      assert.deepEqual(of(one), of(two), "the same seed");
      assert.ok(of(one).every(({ logprob, top }) => logprob <= 0 && top.length === 2));
    }
  },

  async chatCompletion() {
    const body = { messages, temperature: 0, max_tokens: 24 };
    const [whole, ...more] = (await all(chat(body))).map(({ json }) => JSON.parse(json));
    assert.equal(more.length, 0);
    assert.equal(whole.object, "chat.completion");
    const chunks = (await all(chat({ ...body, stream: true }))).map(({ json }) => JSON.parse(json));
    const text = (field) => chunks.map((c) => c.choices[0]?.delta[field] ?? "").join("");
    const { message } = whole.choices[0];
    assert.equal(text("content"), message.content ?? "");
    assert.equal(text("reasoning_content"), message.reasoning_content ?? "");
    assert.ok(chunks.every(({ object }) => object === "chat.completion.chunk"));
  },

  async cancel() {
    const stream = generate(endless);
    const failed = new Promise((resolve) => stream.on("error", resolve));
    await new Promise((resolve) => stream.once("data", resolve));
    stream.on("data", () => {});
    stream.cancel();
    assert.equal((await failed).code, grpc.status.CANCELLED);
    await idle();
  },

  async abort() {
    const request_id = `node-${process.pid}`;
    const stream = generate({ ...endless, request_id });
    const whole = all(stream);
    await new Promise((resolve) => stream.once("metadata", resolve));
    await unary(control, "Abort", { request_id });
    const { choice_end: end } = (await whole).find((m) => m.event === "choice_end");
    assert.equal(end.finish_reason, "FINISH_REASON_ABORT");
    await assert.rejects(unary(control, "Abort", { request_id }), { code: grpc.status.NOT_FOUND });
  },

  async errors() {
    const refused = (work, code, param) =>
      assert.rejects(work, (e) => {
        assert.equal(e.code, code, e.message);
        if (param) {
          assert.ok(e.details.includes(param), e.details);
          const [details] = e.metadata.get("grpc-status-details-bin");
          assert.ok(details.includes(`"param":"${param}"`), "the body that HTTP answers");
        }
        return true;
      });
    const { INVALID_ARGUMENT, NOT_FOUND, PERMISSION_DENIED, UNAUTHENTICATED } = grpc.status;
    await refused(all(generate({ ...greedy, top_p: 0 })), INVALID_ARGUMENT, "top_p");
    await refused(all(generate({ temperature: 0 })), INVALID_ARGUMENT, "prompt");
    await refused(all(generate({ ...greedy, model: "no-such" })), NOT_FOUND, "model");
    await refused(all(chat({ messages: [] })), INVALID_ARGUMENT, "messages");
    if (apiKey) {
      await refused(all(generate(greedy, new grpc.Metadata())), UNAUTHENTICATED);
      await refused(unary(control, "Pause", {}, metadata), PERMISSION_DENIED);
    }
    await refused(all(generate({ ...greedy, priority: -1 })), PERMISSION_DENIED, "priority");
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
for (const client of [inference, control, health]) client.close();
console.log(`${Object.keys(tests).length} tests passed`);
