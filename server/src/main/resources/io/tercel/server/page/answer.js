// An answer as it comes: its thought, its text, its calls, and when each came.

const SHORT = 200; // ms

/** Of one choice of a streamed chat completion. Times are milliseconds of one clock. */
export class Answer {
  thought = "";
  text = "";
  /** Whole calls: {id, type, function: {name, arguments}}. */
  calls = [];
  /** How many tokens the server has told of. */
  tokens = 0;
  /** stop, length, tool_calls, or what the page says: stopped, failed. Null while it comes. */
  end = null;
  error = "";
  /** Whether no more of it comes, figures included. */
  closed = false;
  asked;
  first = null;
  last = null;
  thoughtFrom = null;
  thoughtUntil = null;

  constructor(now) {
    this.asked = now;
  }

  /** Takes a chunk of the stream. */
  add(chunk, now) {
    const choice = chunk.choices[0];
    if (choice) {
      this.#count(choice.token_ids?.length ?? 0, now);
      this.#read(choice.delta, now);
      this.end = choice.finish_reason ?? this.end;
    }
    if (chunk.usage) {
      this.tokens = chunk.usage.completion_tokens;
    }
  }

  #count(tokens, now) {
    if (tokens > 0) {
      this.tokens += tokens;
      this.first ??= now;
      this.last = now;
    }
  }

  #read(delta, now) {
    if (delta.reasoning_content) {
      this.thoughtFrom ??= this.first ?? now;
      this.thought += delta.reasoning_content;
    }
    if (delta.content) {
      this.#thoughtEnds(now);
      this.text += delta.content;
    }
    for (const call of delta.tool_calls ?? []) { // each comes whole
      this.#thoughtEnds(now);
      this.calls.push({ id: call.id, type: "function", function: { ...call.function } });
    }
  }

  #thoughtEnds(now) {
    if (this.thoughtFrom !== null) {
      this.thoughtUntil ??= now;
    }
  }

  /** It ends here, if it has not ended by itself. */
  close(end, now, error = "") {
    this.#thoughtEnds(now);
    this.end ??= end;
    this.closed = true;
    this.error = error;
  }

  /** Milliseconds of thinking up to now. */
  thinking(now) {
    return (this.thoughtUntil ?? now) - this.thoughtFrom;
  }

  /**
   * Tokens a second after the first; null while that can't be said. Small models are done in a few reads of the network,
   * and nothing can be told from the time between those; of them it is tokens a second since they were asked for.
   */
  rate() {
    if (this.tokens < 2) {
      return null;
    }
    const span = this.last - this.first;
    return span < SHORT ? (this.tokens * 1000) / (this.last - this.asked) : ((this.tokens - 1) * 1000) / span;
  }

  /** As part of the conversation. */
  message() {
    const message = { role: "assistant", content: this.text };
    if (this.calls.length > 0) {
      message.tool_calls = this.calls;
    }
    return message;
  }
}
