// The page and the dashboard in headless Chromium against a running server that asks for a key and serves the bundled
// model.
//
//   npm install --no-save --no-package-lock && node test.mjs http://127.0.0.1:8000 KEY [CHROMIUM [SCREENSHOTS]]

import assert from "node:assert/strict";
import path from "node:path";
import puppeteer from "puppeteer-core";

const [url, key, chromium = "/usr/bin/chromium", screenshots] = process.argv.slice(2);
if (!url || !key) {
  console.error("usage: node test.mjs URL KEY [CHROMIUM [SCREENSHOTS]]");
  process.exit(2);
}
const QUESTION = "What is 412 + 358?";
const base = new URL(url).origin;

const root = process.getuid?.() === 0; // who has no sandbox
const browser = await puppeteer.launch({
  executablePath: chromium,
  headless: true,
  args: root ? ["--no-sandbox"] : [],
  defaultViewport: { width: 960, height: 720 },
});
const page = await browser.newPage();
page.setDefaultTimeout(30_000);

// what must not happen, whatever is tried
const wrongs = [];
let expected = 401; // how the page learns that it needs a key
const asked = [];
await page.exposeFunction("violated", (what) => wrongs.push(`policy: ${what}`));
await page.evaluateOnNewDocument(() =>
  document.addEventListener("securitypolicyviolation", (event) =>
    window.violated(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`),
  ),
);
page.on("pageerror", (error) => wrongs.push(`error: ${error.message}`));
page.on("console", (message) => {
  const refused = message.text().includes(`status of ${expected}`); // Chromium tells of it by itself
  if (["error", "warn"].includes(message.type()) && !refused) wrongs.push(`console: ${message.text()}`);
});

// answers of other models than the one that is served
let canned = null;
let figures = "";
await page.setRequestInterception(true);
page.on("request", async (request) => {
  const { origin, pathname } = new URL(request.url());
  if (origin !== base && !request.url().startsWith("data:")) wrongs.push(`foreign: ${request.url()}`);
  asked.push({ pathname, body: request.postData(), headers: request.headers() });
  if (canned !== null && pathname === "/v1/chat/completions") {
    const chunk = (delta, finish) =>
      `data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: finish, token_ids: [1, 2] }] })}\n\n`;
    const body = `${canned.map((delta) => chunk(delta, null)).join("")}${chunk({}, "stop")}data: [DONE]\n\n`;
    await request.respond({ contentType: "text/event-stream", body });
  } else if (figures !== "" && pathname === "/metrics") {
    const real = await fetch(`${base}/metrics`, { headers: { authorization: `Bearer ${key}` } });
    await request.respond({ contentType: "text/plain", body: (await real.text()) + figures });
  } else {
    await request.continue();
  }
});

const text = (selector) => page.$eval(selector, (element) => element.textContent);
const last = ".turn.assistant:last-child";
const done = () => page.waitForSelector(`${last}:not([aria-busy])`);
const set = (selector, value) =>
  page.$eval(
    selector,
    (element, given) => {
      element.value = given;
      element.dispatchEvent(new Event("input"));
    },
    value,
  );

async function send(message) {
  const before = (await page.$$(".turn.assistant")).length;
  await page.type("#prompt", message);
  await page.keyboard.press("Enter");
  await page.waitForFunction((n) => document.querySelectorAll(".turn.assistant").length > n, {}, before);
}

async function answered(deltas, message = "Show me") {
  canned = deltas;
  await page.click("#restart");
  await send(message);
  await done();
  canned = null;
}

async function check(name, test) {
  try {
    await test();
    assert.deepEqual(wrongs, [], "what must not happen");
  } catch (error) {
    console.error(`not ok ${name}`, error);
    await shot("failed.png").catch(() => {});
    await browser.close();
    process.exit(1);
  }
  console.log(`ok ${name}`);
}

async function metric(name) {
  const response = await fetch(`${base}/metrics`, { headers: { authorization: `Bearer ${key}` } });
  const line = (await response.text()).split("\n").find((l) => l.startsWith(`${name}{`));
  return Number(line.split(" ").at(-1));
}

async function shot(name) {
  if (screenshots) await page.screenshot({ path: path.join(screenshots, name) });
}

await check("a key is asked for, again where it is wrong, and kept in the tab alone", async () => {
  await page.goto(url);
  await page.waitForSelector("#key[open]");
  assert.equal(await page.evaluate(() => document.activeElement.id), "key-field");
  await page.type("#key-field", "not the key");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#key-wrong:not([hidden])");
  await page.type("#key-field", key);
  await page.click("#key-give");
  await page.waitForSelector("#model option");
  assert.equal(await page.$("#key[open]"), null);
  const kept = await page.evaluate(() => [JSON.stringify(sessionStorage), JSON.stringify(localStorage), document.cookie]);
  assert.ok(kept[0].includes(key));
  assert.ok(!kept[1].includes(key) && !kept[2].includes(key), kept.join());
});

await check("an answer has its thought folded and timed, its tokens counted", async () => {
  await set("#temperature", "0");
  await send(QUESTION);
  await done();
  assert.equal(await text(`${last} > .text menclose, ${last} > .text math`), "770"); // its \\boxed{770}
  assert.match(await text(`${last} .thought summary`), /^Thought for \d+\.\d+ s$/);
  assert.equal(await page.$eval(`${last} .thought`, (thought) => thought.open), false);
  assert.match(await text(`${last} .figures`), /^\d+ tokens · \d+\.\d tokens\/s · first after \d+\.\d+ s$/);
  const { body } = asked.findLast(({ pathname }) => pathname === "/v1/chat/completions");
  assert.equal(JSON.parse(body).temperature, 0);
  assert.match(await text("#status"), /770/);
  await page.click(`${last} .thought summary`);
  assert.equal(await page.$eval(`${last} .thought`, (thought) => thought.open), true);
});

await check("an answer is made again in its place", async () => {
  const first = await page.$(last);
  const thought = await text(`${last} .thought .text`);
  const [again] = await page.$$(`${last} .actions button`);
  assert.equal(await again.evaluate((button) => button.textContent), "Regenerate");
  await again.click();
  await page.waitForFunction((turn) => !turn.isConnected, {}, first);
  await done();
  assert.equal((await page.$$(".turn.assistant")).length, 1);
  assert.equal((await page.$$(".turn.user")).length, 1);
  assert.equal(await text(`${last} .thought .text`), thought, "greedy says the same");
  const { body } = asked.findLast(({ pathname }) => pathname === "/v1/chat/completions");
  assert.deepEqual(JSON.parse(body).messages, [{ role: "user", content: QUESTION }]);
});

await check("keys: Shift and Enter breaks the line, Tab goes on to the button and the settings", async () => {
  await page.focus("#prompt");
  await page.type("#prompt", "a");
  await page.keyboard.down("Shift");
  await page.keyboard.press("Enter");
  await page.keyboard.up("Shift");
  await page.type("#prompt", "b");
  assert.equal(await page.$eval("#prompt", (prompt) => prompt.value), "a\nb");
  const order = [];
  for (let i = 0; i < 2; i++) {
    await page.keyboard.press("Tab");
    order.push(await page.evaluate(() => document.activeElement.id || document.activeElement.localName));
  }
  assert.deepEqual(order, ["send", "summary"]);
  await set("#prompt", "");
});

for (const [how, stop] of [
  ["Escape", () => page.keyboard.press("Escape")],
  ["the button", () => page.click("#stop")],
]) {
  await check(`an answer is streamed; ${how} stops it, and its sequence`, async () => {
    await page.click("#restart");
    await set("#fields", '{"ignore_eos": true, "loop_breaker": false}');
    await send(QUESTION);
    await page.waitForFunction(() => /[1-9]\d tokens/.test(document.querySelector(".figures")?.textContent));
    const length = (await text(last)).length;
    await page.waitForFunction((n) => document.querySelector(".turn.assistant").textContent.length > n + 20, {}, length);
    assert.notEqual(await page.$(`${last}[aria-busy]`), null, "it goes on");
    assert.equal(await metric("vllm:num_requests_running"), 1);
    await stop();
    await done();
    assert.match(await text(`${last} .figures`), /stopped$/);
    for (let i = 0; (await metric("vllm:num_requests_running")) > 0; i++) {
      assert.ok(i < 100, "the sequence still runs");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await set("#fields", "");
  });
}

await check("settings are sent, and wrong ones explained", async () => {
  await page.click("#restart");
  await page.click("#settings summary");
  await set("#max-tokens", "5");
  await set("#top-p", "0.5");
  await set("#budget", "3");
  await set("#system", "Be brief.");
  await send(QUESTION);
  await done();
  const sent = JSON.parse(asked.findLast(({ pathname }) => pathname === "/v1/chat/completions").body);
  assert.deepEqual([sent.max_tokens, sent.top_p, sent.thinking_token_budget], [5, 0.5, 3]);
  assert.deepEqual(sent.messages[0], { role: "system", content: "Be brief." });
  assert.match(await text(`${last} .figures`), /^5 tokens.*most tokens allowed$/);
  await set("#thinking", "off");
  const count = asked.length;
  await set("#fields", "[]");
  await page.type("#prompt", "hi");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#trouble:not([hidden])");
  assert.match(await text("#trouble"), /must be one JSON object/);
  assert.equal(asked.length, count);
  expected = 400;
  await set("#fields", '{"temperature": -1}');
  await page.click("#restart");
  await send("hi");
  await done();
  assert.match(await text(`${last} .error`), /temperature/);
  assert.deepEqual(JSON.parse(asked.at(-1).body).chat_template_kwargs, { enable_thinking: false });
  expected = 401;
  await page.evaluate(() => localStorage.removeItem("tercel-settings"));
  await page.reload();
  await page.waitForSelector("#model option");
});

await check("Markdown and math are rendered", async () => {
  const content =
    "# Sum\n\nLet $x_1 = \\frac{1}{2}$, $50\\%$, which costs $5 or $6.\n\n\\[\\begin{aligned} a &= b \\\\ &= \\color{red}{c} \\end{aligned}\\]\n\n" +
    "| a | b |\n|--|--|\n| 1 | 2 |\n\n```js\nif (a < b) {}\n```\n\n$$\\sum_{i=1}^n i$$ and \\(\\sqrt{2}\\), `$no$`";
  await answered([{ role: "assistant" }, { reasoning_content: "So $y$." }, { content }]);
  const seen = await page.$eval(`${last} > .text`, (element) => ({
    heading: element.querySelector("h1").textContent,
    formulas: element.querySelectorAll("math").length,
    displays: element.querySelectorAll("math.tml-display, math[display=block]").length,
    fraction: element.querySelectorAll("mfrac").length,
    cells: element.querySelectorAll("td").length,
    code: element.querySelector("pre code").textContent,
    red: [...element.querySelectorAll("math *")].some((e) => getComputedStyle(e).color === "rgb(255, 0, 0)"),
    price: element.textContent.includes("costs $5 or $6."),
    left: element.innerHTML.includes("data-math-style"),
    untouched: element.textContent.includes("$no$"),
  }));
  assert.deepEqual(seen, {
    heading: "Sum",
    formulas: 5,
    displays: 2,
    fraction: 1,
    cells: 2,
    code: "if (a < b) {}\n",
    red: true,
    price: true,
    left: false,
    untouched: true,
  });
  assert.equal(await page.$eval(`${last} .thought .text`, (e) => e.querySelectorAll("math").length), 1);
});

await check("nothing that a model writes becomes script, style, form, frame or image", async () => {
  const content = [
    "<script>window.pwned = 1</script>",
    "<img src=x onerror='window.pwned = 1'>",
    "![picture](https://example.com/track.png)",
    "[link](javascript:window.pwned=1) [data](data:text/html,hi) [fine](https://example.com/)",
    "<svg><style>body{display:none}</style><a xlink:href='javascript:1'>x</a></svg>",
    "<form action=https://example.com><input name=a></form><iframe src=https://example.com></iframe>",
    "$\\href{javascript:window.pwned=1}{x}$ $\\class{turn}{y}$ $\\style{position:fixed}{z}$ $\\includegraphics{https://example.com/a.png}$",
    "$\\text{<img src=x onerror=window.pwned=1>}$ <div style='position:fixed' id=prompt>over</div>",
    '<math><mtext data-math-style="position:fixed">m</mtext></math>',
  ].join("\n\n");
  await answered([{ reasoning_content: content }, { content }]);
  const seen = await page.$eval(last, (turn) => ({
    elements: [...turn.querySelectorAll("script, style, img, svg, form, input, iframe, object, [style*=position]")].map(
      (e) => e.outerHTML,
    ),
    handlers: [...turn.querySelectorAll("*")].filter((e) => e.getAttributeNames().some((n) => /^on|^id$/.test(n))).length,
    links: [...turn.querySelectorAll(":scope > .text a[href]")].map((a) => [a.getAttribute("href"), a.rel, a.target]),
    pwned: typeof window.pwned,
  }));
  const safe = ["noopener noreferrer", "_blank"];
  assert.deepEqual(seen, {
    elements: [],
    handlers: 0,
    links: [
      ["https://example.com/track.png", ...safe],
      ["https://example.com/", ...safe],
    ],
    pwned: "undefined",
  });
});

await check("JSON is readable, and calls take their results", async () => {
  await answered([{ content: '{"a":[1,' }, { content: "2]}" }]);
  assert.equal(await text(`${last} > .text pre`), JSON.stringify({ a: [1, 2] }, null, 2));
  const call = (id, name) => ({ index: 0, id, type: "function", function: { name, arguments: '{"city":"Bern"}' } });
  await answered([{ tool_calls: [call("c1", "weather")] }, { tool_calls: [call("c2", "time")] }]);
  assert.deepEqual(
    await page.$$eval(`${last} .call h3 code`, (names) => names.map((n) => n.textContent)),
    ["weather", "time"],
  );
  assert.equal(await text(`${last} .call pre`), '{\n  "city": "Bern"\n}');
  assert.match(await page.$eval("#prompt", (prompt) => prompt.placeholder), /weather/);
  await page.type("#prompt", "sunny");
  await page.keyboard.press("Enter");
  assert.match(await page.$eval("#prompt", (prompt) => prompt.placeholder), /time/);
  canned = [{ content: "Sunny, noon." }];
  await send("noon");
  await done();
  canned = null;
  const { messages } = JSON.parse(asked.findLast(({ pathname }) => pathname === "/v1/chat/completions").body);
  assert.deepEqual(messages.map((m) => [m.role, m.tool_call_id]).slice(1), [
    ["assistant", undefined],
    ["tool", "c1"],
    ["tool", "c2"],
  ]);
});

await check("dark and light: as the system has it, until the button says otherwise", async () => {
  const ground = () => page.$eval("body", (body) => getComputedStyle(body).backgroundColor);
  const light = "rgb(255, 255, 255)";
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "light" }]);
  assert.equal(await ground(), light);
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "dark" }]);
  assert.notEqual(await ground(), light);
  await page.click("#theme");
  assert.equal(await ground(), light);
  await page.reload();
  await page.waitForSelector("#model option");
  assert.equal(await ground(), light);
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "light" }]);
});

await check("a picture of the page", async () => {
  await page.click("#restart");
  await send(QUESTION);
  await done();
  await send("What is 96 - 41?");
  await done();
  await page.click(`${last} .thought summary`);
  await page.evaluate(() => document.scrollingElement.scrollTo(0, 1e6));
  await shot("page.png");
});

await check("the dashboard shows what the server does, and a trainer's curves", async () => {
  let busy = true;
  const ask = async () => {
    while (busy) {
      const response = await fetch(`${base}/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
        body: JSON.stringify({ messages: [{ role: "user", content: QUESTION }], temperature: 1 }),
      });
      await response.text();
    }
  };
  await page.setViewport({ width: 1160, height: 560 });
  const others = [ask(), ask()];
  await page.click("a[href=dashboard]");
  await page.waitForSelector(".chart");
  assert.equal(await page.$("#key[open]"), null, "the tab has the key");
  const shown = () =>
    page.$$eval("#panels .chart", (charts) =>
      Object.fromEntries(
        charts.map((c) => [c.querySelector("h2").textContent, [...c.querySelectorAll("output")].map((o) => o.textContent)]),
      ),
    );
  await page.waitForFunction(
    () => [...document.querySelectorAll("#panels output")].filter((o) => /^[\d.,]+$/.test(o.textContent)).length >= 12,
  );
  const values = await shown();
  assert.ok(Number(values["Tokens a second"][0].replace(",", "")) > 0, JSON.stringify(values));
  assert.ok(Number(values["Time between tokens, ms"][0]) > 0, JSON.stringify(values));
  assert.equal(await page.$eval("#training", (training) => training.hidden), true);
  for (let i = 0; screenshots && i < 15; i++) await new Promise((resolve) => setTimeout(resolve, 1000));
  await shot("dashboard.png");
  for (let step = 1; step <= 12; step++) {
    figures =
      `tercel_training_step{model_name="m",} ${step}.0\n` +
      `tercel_training_loss{model_name="m",} ${2 / step}\ntercel_training_reward{model_name="m",} ${1 - 1 / step}\n`;
    await page.waitForFunction((now) => document.getElementById("step").textContent === `, step ${now}`, {}, step);
  }
  assert.deepEqual(
    await page.$$eval("#curves .chart", (charts) => charts.map((c) => c.querySelector("h2").textContent)),
    ["loss", "reward"],
  );
  const curve = await page.$eval("#curves path", (line) => line.getAttribute("d"));
  assert.equal(curve.split(/[ML]/).length - 1, 12, "a point a step");
  busy = false;
  await Promise.all(others);
});

await browser.close();
console.log(`page: RAN (${asked.length} requests, all of this server)`);
