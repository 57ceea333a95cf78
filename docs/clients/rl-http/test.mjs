// A framework for reinforcement learning over HTTP alone: 64 groups of 8 samples are under way, the server is paused, gets
// other weights from a directory and goes on. Nothing may be lost, every token says whose it is, and no key or value that the
// old weights have computed may serve the new ones.
//
//   node test.mjs MODEL            serves MODEL by the repository's ./tercel, on free ports; Node alone is needed
//
// MODEL is a directory with one model.safetensors. The other weights are its own with two layers changed places, in a
// temporary directory. $TERCEL is another command to serve with.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { copyFileSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const GROUPS = 64;
const SAMPLES = 8;
const MAX_TOKENS = 96;
const LIMIT_MINUTES = 10;

const here = dirname(fileURLToPath(import.meta.url));
if (!process.argv[2]) {
  console.error("usage: node test.mjs MODEL_DIRECTORY");
  process.exit(2);
}
const model = resolve(process.argv[2]);
const command = (process.env.TERCEL ?? resolve(here, "../../../tercel")).split(" ");
const key = randomBytes(12).toString("hex");
const adminKey = randomBytes(12).toString("hex");

const work = mkdtempSync(join(tmpdir(), "rl-http-"));
const children = new Set();
process.on("exit", () => {
  children.forEach((child) => child.kill("SIGKILL"));
  rmSync(work, { recursive: true, force: true });
});

// whatever hangs is a failure
setTimeout(() => {
  console.error(`rl-http: not done after ${LIMIT_MINUTES} minutes`);
  process.exit(1);
}, LIMIT_MINUTES * 60_000).unref();

const rows = [];
/** One line of the table; a check that fails ends the script. */
async function check(what, work) {
  const begun = performance.now();
  const found = await work();
  rows.push([what, found ?? "", `${((performance.now() - begun) / 1000).toFixed(1)} s`]);
}

/** The same checkpoint with the tensors of its first two layers under each other's names: same shapes, other function. */
function withLayersSwapped(from, to) {
  for (const name of readdirSync(from)) {
    if (statSync(join(from, name)).isFile() && name !== "model.safetensors") copyFileSync(join(from, name), join(to, name));
  }
  const bytes = readFileSync(join(from, "model.safetensors"));
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.subarray(8, 8 + length).toString("utf8"));
  for (const name of Object.keys(header)) {
    const other = name.replace("model.layers.0.", "model.layers.1.");
    if (other !== name) [header[name], header[other]] = [header[other], header[name]];
  }
  const json = Buffer.from(JSON.stringify(header));
  const padded = Buffer.concat([json, Buffer.alloc((8 - (json.length % 8)) % 8, " ")]);
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(padded.length));
  writeFileSync(join(to, "model.safetensors"), Buffer.concat([size, padded, bytes.subarray(8 + length)]));
}

/** Serves a directory on free ports until it is told to end. */
async function serve(directory) {
  const args = ["serve", "--model", directory, "--served-model-name", "policy", "--port", "0", "--admin-port", "0"];
  const env = { ...process.env, TERCEL_API_KEY: key, TERCEL_ADMIN_KEY: adminKey };
  const child = spawn(command[0], [...command.slice(1), ...args, "--no-warm-up", "--no-page"], { env });
  children.add(child);
  let log = "";
  const ended = new Promise((done) => child.on("exit", done));
  const urls = await new Promise((done, fail) => {
    const read = (text) => {
      log += text;
      const url = /^Serving .* on (http:\S*)\/v1 /m.exec(log);
      const admin = /^Admin on (http:\S*) /m.exec(log);
      if (url && admin) done({ url: url[1], admin: admin[1] });
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    ended.then(() => fail(new Error(`the server did not start:\n${log}`)));
  });
  const stop = async () => {
    child.kill("SIGTERM");
    await ended;
    children.delete(child);
  };
  return { ...urls, stop };
}

async function ask(url, body, as, method = "POST") {
  const response = await fetch(url, {
    method,
    headers: { ...(as && { authorization: `Bearer ${as}` }), ...(body && { "content-type": "application/json" }) },
    body: body && JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, json: text.startsWith("{") || text.startsWith("[") ? JSON.parse(text) : null, text };
}

async function ok(url, body, as, method) {
  const answer = await ask(url, body, as, method);
  assert.equal(answer.status, 200, answer.text);
  return answer.json;
}

const other = mkdtempSync(join(work, "weights-"));
withLayersSwapped(model, other);
let server = await serve(model);
const admin = (path, body, method) => ok(server.admin + path, body, adminKey, method);
const complete = (body) => ok(`${server.url}/v1/completions`, body, key);
const encode = async (text) => (await ok(`${server.url}/tokenize`, { prompt: text }, key)).tokens;

await check("keys are required for control and tokens alike", async () => {
  const routes = [
    ["POST", "/generate"], ["POST", "/pause"], ["POST", "/resume"], ["GET", "/is_paused"], ["POST", "/update_weights_from_disk"],
    ["POST", "/update_weights"], ["POST", "/abort_request"], ["POST", "/reset_prefix_cache"], ["GET", "/get_weight_version"],
  ];
  for (const [method, path] of routes) {
    const body = method === "POST" ? { text: "x", model_path: other, weight_dir: other, abort_all: true } : undefined;
    for (const [as, status] of [[null, 401], ["wrong", 401], [key, 403]]) {
      assert.equal((await ask(server.admin + path, body, as, method)).status, status, `${path} as ${as}`);
    }
    assert.equal((await ask(server.url + path, body, adminKey, method)).status, 404, `${path} among clients`);
  }
  assert.equal((await ask(`${server.url}/v1/completions`, { prompt: "x" }, null)).status, 401);
  assert.equal((await admin("/is_paused", undefined, "GET")).is_paused, false);
  return `${4 * routes.length + 1} refused`;
});

const first = (await admin("/get_weight_version", undefined, "GET")).weight_version;

// A prompt whose keys and values are in the cache when the weights change.
const probe = {
  prompt: await encode("Work it out step by step: what is 412 + 358? And what is 97 - 58? Say both, and which of them is the larger one."),
  temperature: 0,
  max_tokens: 40,
  ignore_eos: true,
  logprobs: 3,
  return_token_ids: true,
};
const said = async () => {
  const answer = await complete(probe);
  const [choice] = answer.choices;
  return { cached: answer.usage.prompt_tokens_details.cached_tokens, tokens: choice.token_ids, logprobs: choice.logprobs };
};
const before = await said();
assert.ok((await said()).cached > 0, "the prompt's beginning is in the cache");

/** One group over OpenAI's route, as vLLM's clients ask. */
async function overCompletions(group, prompt) {
  const answer = await complete({
    prompt, n: SAMPLES, seed: group, temperature: 1, max_tokens: MAX_TOKENS, ignore_eos: true, logprobs: 0, service_class: "rollout",
    return_token_ids: true, return_weight_versions: true, return_forced_tokens: true,
  });
  return answer.choices.map((choice) => ({
    tokens: choice.token_ids,
    logprobs: choice.logprobs.token_logprobs,
    versions: choice.weight_versions,
    forced: choice.forced_tokens,
    reason: choice.finish_reason,
  }));
}

/** One group over SGLang's. */
async function overGenerate(group, input_ids) {
  const answers = await admin("/generate", {
    input_ids, rid: `group-${group}`, return_logprob: true, return_weight_versions: true, return_forced_tokens: true, service_class: "rollout",
    sampling_params: { n: SAMPLES, sampling_seed: group, max_new_tokens: MAX_TOKENS, ignore_eos: true },
  });
  return answers.map(({ output_ids, meta_info }) => {
    assert.equal(meta_info.id, `group-${group}`);
    assert.deepEqual(meta_info.output_token_logprobs.map(([, id]) => id), output_ids);
    return {
      tokens: output_ids,
      logprobs: meta_info.output_token_logprobs.map(([logprob]) => logprob),
      versions: meta_info.weight_versions,
      forced: meta_info.forced_tokens,
      reason: meta_info.finish_reason.type,
    };
  });
}

/** Tokens that a class of service has made so far. */
async function generated(label) {
  const { classes } = await admin("/info", undefined, "GET");
  return classes.find((c) => c.service_class === label).generation_tokens;
}

let pending;
await check(`${GROUPS} groups of ${SAMPLES} under way, then pause`, async () => {
  const prompts = await Promise.all(Array.from({ length: GROUPS }, (_, i) => encode(`What is ${100 + i} + ${200 + 7 * i}?`)));
  pending = Promise.all(prompts.map((prompt, i) => (i % 2 ? overCompletions(i, prompt) : overGenerate(i, prompt))));
  pending.catch(() => {}); // looked at below
  const all = GROUPS * SAMPLES * MAX_TOKENS;
  let ended = false;
  const note = () => (ended = true);
  pending.then(note, note);
  for (let made = 0; made < all / 8; made = await generated("rollout")) {
    assert.ok(!ended, "they ended before their pause");
  }
  await admin("/pause", { mode: "keep" });
  assert.equal((await admin("/is_paused", undefined, "GET")).is_paused, true);
  const held = await admin("/info", undefined, "GET");
  const again = await admin("/info", undefined, "GET");
  assert.deepEqual(again.classes, held.classes, "no token is made while it is paused");
  return `${held.running} running, ${held.waiting} waiting`;
});

let second;
await check("other weights from a directory, then resume", async () => {
  const refused = await ask(`${server.admin}/update_weights_from_disk`, { model_path: here }, adminKey);
  assert.equal(refused.status, 400, "a directory without a model changes nothing");
  const updated = await admin("/update_weights_from_disk", { model_path: other });
  assert.equal(updated.success, true);
  second = updated.weight_version;
  assert.ok(second > first, `version ${second} after ${first}`);
  assert.equal((await admin("/get_weight_version", undefined, "GET")).weight_version, second);
  await admin("/resume");
  return `version ${first} → ${second}`;
});

await check("all answers come back, each token with its version", async () => {
  const choices = (await pending).flat();
  assert.equal(choices.length, GROUPS * SAMPLES);
  const tokens = new Map([[first, 0], [second, 0]]);
  let spanning = 0;
  for (const { tokens: ids, logprobs, versions, forced, reason } of choices) {
    assert.equal(reason, "length");
    assert.equal(ids.length, MAX_TOKENS);
    assert.equal(logprobs.length, MAX_TOKENS);
    assert.ok(logprobs.every((x) => Number.isFinite(x) && x <= 0));
    assert.deepEqual(forced, []);
    let at = 0;
    let last = -1;
    for (const run of versions) {
      assert.ok(tokens.has(run.version) && run.tokens > 0, JSON.stringify(versions));
      assert.ok(run.version > last, `versions fall: ${JSON.stringify(versions)}`);
      last = run.version;
      at += run.tokens;
      tokens.set(run.version, tokens.get(run.version) + run.tokens);
    }
    assert.equal(at, MAX_TOKENS, "every token has a version");
    spanning += versions.length - 1;
  }
  assert.ok(tokens.get(first) > 0 && tokens.get(second) > 0 && spanning > 0, "the update came in their middle");
  return `${choices.length} of ${GROUPS * SAMPLES}; tokens ${[...tokens.values()].join(" + ")}; ${spanning} span both`;
});

let after;
await check("nothing cached by the old weights is used", async () => {
  after = await said();
  assert.equal(after.cached, 0, "cached tokens of the first answer by the new weights");
  assert.notDeepEqual([after.tokens, after.logprobs], [before.tokens, before.logprobs], "the weights are others");
  const cached = await said();
  assert.ok(cached.cached > 0, "the new weights' own are used");
  assert.deepEqual(cached.tokens, after.tokens);
  assert.deepEqual(cached.logprobs, after.logprobs);
  return `0 cached, then ${cached.cached}`;
});

await check("abort by id ends one request and no other", async () => {
  const long = { max_new_tokens: 4000, ignore_eos: true };
  const begun = await generated("chat");
  const doomed = admin("/generate", { text: "1 + 1 =", rid: "doomed", sampling_params: long });
  while ((await generated("chat")) < begun + 20);
  const spared = complete({ prompt: "2 + 2 =", max_tokens: 500, ignore_eos: true });
  assert.equal((await admin("/abort_request", { rid: "doomed" })).aborted, 1);
  const { meta_info } = await doomed;
  assert.equal(meta_info.finish_reason.type, "abort");
  assert.ok(meta_info.completion_tokens >= 20 && meta_info.completion_tokens < 4000);
  assert.equal((await spared).choices[0].finish_reason, "length");
  assert.equal((await admin("/abort_request", { rid: "doomed" })).aborted, 0, "it is gone");
  const { running, waiting } = await admin("/info", undefined, "GET");
  assert.equal(running + waiting, 0);
  return `after ${meta_info.completion_tokens} of 4000 tokens`;
});

await check("a fresh server of the new weights says the same", async () => {
  await server.stop();
  server = await serve(other);
  const fresh = await said();
  assert.equal(fresh.cached, 0);
  assert.deepEqual(fresh.tokens, after.tokens);
  assert.deepEqual(fresh.logprobs, after.logprobs, "log-probs to the bit");
  await server.stop();
  return `${fresh.tokens.length} tokens, equal to the bit`;
});

const widths = [0, 1, 2].map((i) => Math.max(...rows.map((row) => row[i].length)));
for (const row of rows) console.log(row.map((cell, i) => (i === 2 ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join("  "));
console.log("rl-http: all checks passed");
process.exit(0);
