// The chat: a conversation of this page alone, forgotten when it is left.

import { Answer } from "./answer.js";
import { call, events } from "./api.js";
import { fields, restore, system } from "./settings.js";
import { themed } from "./theme.js";
import { AnswerTurn, saidTurn } from "./turn.js";

const TICK = 100; // ms between looks at the clock while an answer comes

const at = (id) => document.getElementById(id);
const prompt = at("prompt");
const log = at("log");

/** Messages as they are sent, and the turn that shows each. */
let conversation = [];
/** Stops the answer that comes; null while none does. */
let running = null;

function say(text) {
  at("status").textContent = text;
}

function complain(error) {
  at("trouble").textContent = error.message;
  at("trouble").hidden = false;
}

function follow(change) {
  const page = document.scrollingElement;
  const atEnd = page.scrollHeight - page.scrollTop - page.clientHeight < 80;
  change();
  if (atEnd) {
    page.scrollTop = page.scrollHeight;
  }
}

function add(message, turn) {
  conversation.push({ message, turn });
  at("empty").hidden = true;
  follow(() => log.append(turn));
}

/** The calls of the last answer whose results are wanted. */
function openCalls() {
  const last = conversation.findLastIndex(({ message }) => message.role === "assistant");
  const results = conversation.length - 1 - last;
  const calls = last < 0 ? [] : (conversation[last].message.tool_calls ?? []);
  return conversation.slice(last + 1).every(({ message }) => message.role === "tool") ? calls.slice(results) : [];
}

function invite() {
  const [open] = openCalls();
  prompt.placeholder = open ? `Result of ${open.function.name}` : "Ask something";
}

function send(text) {
  const [open] = openCalls();
  if (open) {
    add({ role: "tool", tool_call_id: open.id, content: text }, saidTurn("tool", text));
  } else {
    add({ role: "user", content: text }, saidTurn("user", text));
  }
  invite();
  return openCalls().length > 0 ? undefined : respond();
}

async function respond() {
  at("trouble").hidden = true;
  let request;
  try {
    request = requested();
  } catch (error) {
    complain(error);
    return;
  }
  const answer = new Answer(performance.now());
  const turn = new AnswerTurn();
  conversation.forEach(({ answerTurn }) => answerTurn?.offer([]));
  follow(() => log.append(turn.element));
  const controller = begin();
  const asked = conversation;
  const clock = setInterval(() => follow(() => turn.show(answer)), TICK);
  try {
    const response = await call("v1/chat/completions", { body: request, signal: controller.signal });
    for await (const chunk of events(response)) {
      answer.add(chunk, performance.now());
      follow(() => turn.show(answer));
    }
    answer.close("stop", performance.now());
  } catch (error) {
    const stopped = controller.signal.aborted;
    answer.close(stopped ? "stopped" : "failed", performance.now(), stopped ? "" : error.message);
  } finally {
    clearInterval(clock);
  }
  if (asked === conversation) { // else another chat has begun meanwhile
    finish(answer, turn);
  }
}

function requested() {
  const messages = conversation.map(({ message }) => message);
  if (system() !== "") {
    messages.unshift({ role: "system", content: system() });
  }
  return {
    model: at("model").value,
    ...fields(),
    messages,
    stream: true,
    stream_options: { include_usage: true },
    return_token_ids: true, // what is counted, also of an answer that is stopped
  };
}

function begin() {
  running = new AbortController();
  at("send").hidden = true;
  at("stop").hidden = false;
  say("Answering");
  return running;
}

function finish(answer, turn) {
  ended();
  conversation.push({ message: answer.message(), turn: turn.element, answerTurn: turn });
  follow(() => {
    turn.show(answer);
    turn.offer([["Regenerate", regenerate], ...copying(answer)]);
  });
  say(answer.error || (answer.end === "stopped" ? "Stopped" : `Answer: ${answer.text || "a call"}`));
  invite();
  prompt.focus();
}

/** Browsers lend the clipboard to secure pages only: TLS, or this machine. */
function copying(answer) {
  const copy = () => navigator.clipboard.writeText(answer.text).then(() => say("Copied"), complain);
  return navigator.clipboard ? [["Copy", copy]] : [];
}

/** The last answer is forgotten and asked for again. */
function regenerate() {
  if (running === null) {
    conversation.pop().turn.remove();
    respond();
  }
}

function submit() {
  const text = prompt.value.trim();
  if (text !== "" && running === null) {
    prompt.value = "";
    grow();
    send(text);
  }
}

/** As high as its text, to a third of the window. */
function grow() {
  const lines = prompt.value.split("\n").length;
  prompt.rows = Math.min(10, Math.max(1, lines));
}

function stop() {
  running?.abort();
}

function ended() {
  running = null;
  at("send").hidden = false;
  at("stop").hidden = true;
}

function restart() {
  stop();
  ended();
  conversation = [];
  log.replaceChildren();
  at("empty").hidden = false;
  at("trouble").hidden = true;
  invite();
  prompt.focus();
}

async function models() {
  const list = (await (await call("v1/models")).json()).data;
  at("model").replaceChildren(...list.map(({ id }) => new Option(id, id)));
}

prompt.addEventListener("input", grow);
prompt.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    submit();
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !at("key").open) {
    stop();
  }
});
at("ask").addEventListener("submit", (event) => event.preventDefault());
at("send").addEventListener("click", submit);
at("stop").addEventListener("click", stop);
at("restart").addEventListener("click", restart);
themed(at("theme"));
restore();
models().catch(complain);
