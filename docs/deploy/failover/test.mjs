// Two servers behind one gRPC client and behind nginx; one is killed in the middle. No request may be lost that was not
// streaming from it.
//
//   npm install --no-save --no-package-lock && node test.mjs   (needs nginx, and ./tercel built or able to build)

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "../../..");
const REQUESTS = 240;
const CLIENTS = 24;
const processes = [];
process.on("exit", () => processes.forEach((p) => p.kill("SIGTERM")));

/** A server on free ports, once it is ready. */
function serve(name) {
  const args = ["serve", "--served-model-name", "m", "--port", "0", "--grpc-port", "0", "--no-warm-up", "--threads", "1"];
  const child = spawn(join(root, "tercel"), args, { stdio: ["ignore", "pipe", "inherit"] });
  processes.push(child);
  return new Promise((resolve, reject) => {
    let text = "";
    child.once("exit", (code) => reject(new Error(`server ${name} ended with ${code}: ${text}`)));
    child.stdout.on("data", (data) => {
      text += data;
      const http = /^Serving .* on http:\/\/([^/]*)\/v1 /m.exec(text)?.[1];
      const rpc = /^gRPC on ([^ ]*) /m.exec(text)?.[1];
      if (http && rpc) {
        child.removeAllListeners("exit");
        resolve({ child, http, rpc });
      }
    });
  });
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** nginx in front of both. */
async function proxy(servers) {
  const folder = mkdtempSync(join(tmpdir(), "failover-"));
  ["body", "proxy", "fastcgi", "uwsgi", "scgi"].forEach((d) => mkdirSync(join(folder, d)));
  const port = await freePort();
  const upstreams = servers.map((s) => `server ${s.http} max_fails=1 fail_timeout=5s;`).join("\n    ");
  const config = readFileSync(join(here, "nginx.conf"), "utf8")
    .replace("# @SERVERS@", upstreams)
    .replace("@LISTEN@", `127.0.0.1:${port}`);
  writeFileSync(join(folder, "nginx.conf"), config);
  processes.push(spawn("nginx", ["-p", folder, "-c", "nginx.conf"], { stdio: "inherit" }));
  const url = `http://127.0.0.1:${port}`;
  for (let i = 0; i < 100; i++) {
    if (await fetch(`${url}/health`).then((r) => r.ok, () => false)) return url;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("nginx does not answer");
}

/** A gRPC client of all servers: each call goes to the next one, and again if its own is gone before it has answered. */
function client(servers) {
  const proto = loadSync("tercel/v1/inference.proto", {
    includeDirs: [join(root, "proto/src/main/proto")],
    longs: Number,
  });
  const { Inference } = grpc.loadPackageDefinition(proto).tercel.v1;
  const config = {
    loadBalancingConfig: [{ round_robin: {} }],
    methodConfig: [
      {
        name: [{ service: "tercel.v1.Inference" }],
        waitForReady: true,
        retryPolicy: {
          maxAttempts: 4,
          initialBackoff: "0.1s",
          maxBackoff: "1s",
          backoffMultiplier: 2,
          retryableStatusCodes: ["UNAVAILABLE"],
        },
      },
    ],
  };
  return new Inference(`ipv4:${servers.map((s) => s.rpc).join(",")}`, grpc.credentials.createInsecure(), {
    "grpc.service_config": JSON.stringify(config),
  });
}

const prompt = (i) => `What is ${100 + i} + ${300 + i}?`;

/** What became of each request: done, streaming (it had begun to answer and was cut) or lost. */
async function viaGrpc(inference, i) {
  let began = false;
  try {
    let tokens = 0;
    for await (const message of inference.Generate({ text: prompt(i), max_tokens: 48, ignore_eos: true })) {
      began = true;
      tokens += message.delta?.token_ids?.length ?? message.delta?.tokens?.length ?? 0;
    }
    return { end: "done", tokens };
  } catch (e) {
    return { end: began ? "streaming" : "lost", why: e.message };
  }
}

async function viaHttp(url, i, stream) {
  let began = false;
  try {
    const answer = await fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        model: "m",
        stream,
        max_tokens: 48,
        ignore_eos: true,
        messages: [{ role: "user", content: prompt(i) }],
      }),
    });
    if (!answer.ok) return { end: "lost", why: `${answer.status} ${await answer.text()}` };
    if (!stream) {
      const { usage } = await answer.json();
      return { end: usage.completion_tokens === 48 ? "done" : "lost", why: JSON.stringify(usage) };
    }
    let text = "";
    for await (const part of answer.body) {
      began = true;
      text += Buffer.from(part).toString();
    }
    return text.includes("data: [DONE]") ? { end: "done" } : { end: "streaming", why: "cut" };
  } catch (e) {
    return { end: began ? "streaming" : "lost", why: e.message };
  }
}

/** All requests by some clients at a time; a server is killed when a third of them are through. */
async function run(name, send, victim) {
  const ends = { done: 0, streaming: 0, lost: 0 };
  let next = 0;
  let through = 0;
  let killed = 0;
  const worker = async () => {
    while (next < REQUESTS) {
      const result = await send(next++);
      ends[result.end]++;
      if (result.end === "lost") console.log(`  lost: ${result.why}`);
      if (++through === Math.floor(REQUESTS / 3) && victim.exitCode === null) {
        victim.kill("SIGKILL");
        killed = through;
      }
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, worker));
  console.log(`${name.padEnd(22)} ${ends.done} done, ${ends.streaming} were streaming from the one that died, ${ends.lost} lost`);
  assert.equal(killed > 0, true, "a server was killed while requests ran");
  assert.equal(ends.lost, 0, `${name}: lost requests`);
  assert.ok(ends.streaming <= CLIENTS, `${name}: no more are cut than ran`);
}

const stays = await serve("one");
const pid = (s) => s.child;

for (const [name, make] of [
  ["gRPC, round_robin", (servers) => { const c = client(servers); return (i) => viaGrpc(c, i); }],
  ["HTTP, whole answers", async (servers) => { const url = await proxy(servers); return (i) => viaHttp(url, i, false); }],
  ["HTTP, streams", async (servers) => { const url = await proxy(servers); return (i) => viaHttp(url, i, true); }],
]) {
  const dies = await serve("two");
  await run(name, await make([stays, dies]), pid(dies));
}
console.log("Failover: no request lost that was not streaming from the server that was killed");
process.exit(0);
