package io.tercel.trainer.worker;

import com.fasterxml.jackson.databind.node.ObjectNode;

/** What one source of answers has done since it was last told. Thread-safe. */
final class WorkerFigures {
  private static final double NANOS = 1e9;

  private long answers;
  private long tokens;
  private long busyNanos;
  private long busySince;
  private int running;
  private int aside;
  private long sentBytes;

  /**
   * What was counted.
   *
   * @param answers that came whole, as did the tokens
   * @param tokensPerSecond of the time in which there was something to do
   * @param aside times that it was put aside
   * @param sentBytes of weights
   */
  record Counted(long answers, long tokens, double tokensPerSecond, int aside, long sentBytes) {
    ObjectNode describe(ObjectNode to) {
      to.put("answers", answers).put("tokens", tokens);
      to.put("tokens_per_second", Math.round(10 * tokensPerSecond) / 10.0);
      return to.put("put_aside", aside).put("sent_bytes", sentBytes);
    }
  }

  synchronized void began() {
    if (running++ == 0) {
      busySince = System.nanoTime();
    }
  }

  synchronized void ended() {
    if (--running == 0) {
      busyNanos += System.nanoTime() - busySince;
    }
  }

  synchronized void answered(int count, long ofTokens) {
    answers += count;
    tokens += ofTokens;
  }

  synchronized void putAside() {
    aside++;
  }

  synchronized void sent(long bytes) {
    sentBytes += bytes;
  }

  /** Begins anew. */
  synchronized Counted take() {
    long now = System.nanoTime();
    if (running > 0) {
      busyNanos += now - busySince;
      busySince = now;
    }
    double seconds = Math.max(1, busyNanos) / NANOS;
    Counted counted = new Counted(answers, tokens, tokens / seconds, aside, sentBytes);
    answers = tokens = busyNanos = sentBytes = 0;
    aside = 0;
    return counted;
  }
}
