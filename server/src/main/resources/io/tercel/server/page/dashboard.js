// The dashboard: the server's own /metrics, asked for every second and drawn.

import { call } from "./api.js";
import { Chart } from "./chart.js";
import { Metrics, mean, within } from "./metrics.js";
import { themed } from "./theme.js";

const SECOND = 1000;
const SHOWN = 120; // readings
const STEPS = 1000; // of a trainer
const WINDOW = 30; // readings that latencies are of
const TRAINING = "tercel_training_";
const FIRST = "vllm:time_to_first_token_seconds";
const BETWEEN = "vllm:inter_token_latency_seconds";
const WHOLE = "vllm:e2e_request_latency_seconds";

const at = (id) => document.getElementById(id);

/** The last readings, oldest first: {time, metrics}. */
const readings = [];

/** A counter's growth in a second since the last reading; null at the first. */
function rate(name) {
  const [before, now] = readings.slice(-2);
  if (!now) {
    return null;
  }
  const grown = now.metrics.value(name) - before.metrics.value(name);
  return grown < 0 ? null : (grown * SECOND) / (now.time - before.time); // below 0: another process
}

/** Mean and what nearly all are within, in milliseconds. */
function latency(name) {
  const [before, now] = [readings[0].metrics, readings.at(-1).metrics];
  return [mean(name, before, now), within(0.95, name, before, now)].map((s) => (s === null ? null : s * SECOND));
}

const value = (name) => readings.at(-1).metrics.value(name);

const share = (part, whole) => (whole > 0 ? (100 * part) / whole : null);

const PANELS = [
  {
    chart: new Chart("Requests", ["running", "waiting"], SHOWN),
    read: () => [value("vllm:num_requests_running"), value("vllm:num_requests_waiting")],
  },
  {
    chart: new Chart("KV cache in use, %", [""], SHOWN, { top: 100 }),
    read: () => [value("vllm:kv_cache_usage_perc") * 100],
  },
  {
    chart: new Chart("Tokens a second", ["generated", "of prompts"], SHOWN),
    read: () => [rate("vllm:generation_tokens_total"), rate("vllm:prompt_tokens_total")],
  },
  {
    chart: new Chart("Time to first token, ms", ["mean", "95% within"], SHOWN),
    read: () => latency(FIRST),
  },
  {
    chart: new Chart("Time between tokens, ms", ["mean", "95% within"], SHOWN),
    read: () => latency(BETWEEN),
  },
  {
    chart: new Chart("Time of a request, ms", ["mean", "95% within"], SHOWN),
    read: () => latency(WHOLE),
  },
  {
    chart: new Chart("Prompt tokens found in the cache, %", [""], SHOWN, { top: 100 }),
    read: () => [share(rate("vllm:prefix_cache_hits_total"), rate("vllm:prefix_cache_queries_total"))],
  },
];

/** Charts of what a trainer in the process tells of, by name. */
const curves = new Map();
let step = null;

/** A point for each step of the trainer's, whenever that is. */
function drawTraining() {
  const names = readings.at(-1).metrics.names(TRAINING).filter((name) => name !== `${TRAINING}step`);
  at("training").hidden = names.length === 0;
  const now = value(`${TRAINING}step`);
  if (names.length === 0 || (now !== null && now === step)) {
    return;
  }
  step = now;
  at("step").textContent = now === null ? "" : `, step ${now}`;
  for (const name of names) {
    if (!curves.has(name)) {
      const title = name.slice(TRAINING.length).replaceAll("_", " ");
      curves.set(name, new Chart(title, [""], STEPS, { wide: true }));
      at("curves").append(curves.get(name).element);
    }
    curves.get(name).push([value(name)]);
  }
}

async function read() {
  const metrics = new Metrics(await (await call("metrics")).text());
  readings.push({ time: performance.now(), metrics });
  readings.splice(0, readings.length - WINDOW);
  PANELS.forEach(({ chart, read: values }) => chart.push(values()));
  drawTraining();
}

async function poll() {
  const start = performance.now();
  try {
    if (!document.hidden) {
      await read();
    }
    at("trouble").hidden = true;
  } catch (error) {
    at("trouble").textContent = error.status ? error.message : "The server does not answer; asking again every second.";
    at("trouble").hidden = false;
    if (error.status === 401) {
      return; // whoever left the dialog shall not see it again each second
    }
  }
  setTimeout(poll, Math.max(0, SECOND - (performance.now() - start)));
}

at("panels").append(...PANELS.map(({ chart }) => chart.element));
themed(at("theme"));
poll();
