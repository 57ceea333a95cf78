// A turn of the conversation on the page.

import { markdown, readableJson, verbatim } from "./markdown.js";

const ENDS = {
  length: "ended at the most tokens allowed",
  stopped: "stopped",
};

function made(tag, className, text = "") {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

/** What somebody else said: the user, or a tool. */
export function saidTurn(role, text) {
  const turn = made("li", `turn ${role}`);
  turn.append(made("h2", "unseen", role === "user" ? "You" : "Result of a tool"), made("div", "text", text));
  return turn;
}

const seconds = (millis) => `${(millis / 1000).toFixed(millis < 1000 ? 2 : 1)} s`;

/** Shows an answer as it comes. */
export class AnswerTurn {
  element = made("li", "turn assistant");
  #thought = made("details", "thought");
  #summary = made("summary", "");
  #thoughtText = made("div", "text");
  #text = made("div", "text");
  #calls = made("div", "calls");
  #figures = made("p", "figures");
  #error = made("p", "error");
  #actions = made("p", "actions");
  #due = 0;
  #waiting = 0;

  constructor() {
    this.#thought.hidden = true;
    this.#thought.append(this.#summary, this.#thoughtText);
    this.#error.hidden = true;
    this.element.append(made("h2", "unseen", "Answer"), this.#thought, this.#text, this.#calls);
    this.element.append(this.#error, this.#figures, this.#actions);
    this.element.setAttribute("aria-busy", "true");
  }

  /** Shows what there is, soon: rendering may take but a fifth of the time. */
  show(answer) {
    if (!answer.closed) {
      const now = performance.now();
      this.#waiting ||= setTimeout(() => this.#draw(answer), Math.max(0, this.#due - now));
    } else {
      clearTimeout(this.#waiting);
      this.#draw(answer);
      this.#finish(answer);
    }
  }

  #draw(answer) {
    const start = performance.now();
    this.#waiting = 0;
    if (answer.thoughtFrom !== null) {
      this.#thought.hidden = false;
      const time = seconds(answer.thinking(start));
      this.#summary.textContent = answer.thoughtUntil === null ? `Thinking… ${time}` : `Thought for ${time}`;
      if (this.#thoughtText.textContent.length !== answer.thought.length && !this.#thought.dataset.whole) {
        this.#thoughtText.textContent = answer.thought;
      }
    }
    this.#drawText(answer);
    this.#drawFigures(answer, start);
    this.#due = performance.now() + Math.max(50, 4 * (performance.now() - start));
  }

  #drawText(answer) {
    if (/^\s*\{/.test(answer.text) && !answer.closed) {
      verbatim(this.#text, answer.text); // JSON, as far as it goes
      return;
    }
    const json = answer.closed ? readableJson(answer.text) : null;
    if (json === null) {
      markdown(this.#text, answer.text);
    } else {
      verbatim(this.#text, json);
    }
  }

  #drawFigures(answer, now) {
    const parts = [];
    if (answer.first === null) {
      parts.push(answer.closed ? "" : `waiting ${seconds(now - answer.asked)}`);
    } else {
      parts.push(`${answer.tokens} tokens`);
      const rate = answer.rate();
      parts.push(rate === null ? "" : `${rate.toFixed(1)} tokens/s`);
      parts.push(`first after ${seconds(answer.first - answer.asked)}`);
    }
    parts.push(ENDS[answer.end] ?? "");
    this.#figures.textContent = parts.filter((part) => part !== "").join(" · ");
  }

  #finish(answer) {
    this.element.removeAttribute("aria-busy");
    if (answer.thought !== "") {
      this.#thought.dataset.whole = "true";
      markdown(this.#thoughtText, answer.thought);
    }
    for (const call of answer.calls) {
      this.#calls.append(callOf(call));
    }
    this.#error.hidden = answer.error === "";
    this.#error.textContent = answer.error;
  }

  /** Offers what can be done with the answer: [label, action] each. */
  offer(actions) {
    this.#actions.replaceChildren(
      ...actions.map(([label, action]) => {
        const button = made("button", "", label);
        button.type = "button";
        button.addEventListener("click", action);
        return button;
      }),
    );
  }
}

function callOf(call) {
  const box = made("section", "call");
  const title = made("h3", "", "Calls ");
  title.append(made("code", "", call.function.name));
  const values = made("div", "");
  verbatim(values, readableJson(call.function.arguments) ?? call.function.arguments);
  box.append(title, values);
  return box;
}
