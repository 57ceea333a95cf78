package io.tercel.loadtests.client;

import io.tercel.loadtests.metrics.Failure;
import io.tercel.loadtests.metrics.RequestTrace;
import java.io.IOException;
import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/** Reads the body of one streamed completion into its trace. One thread at a time. */
final class CompletionEvents {
  private static final byte[] DONE = {'[', 'D', 'O', 'N', 'E', ']'};

  private final RequestTrace trace;
  private final SseParser parser = new SseParser(this::event);
  private final CompletionChunk chunk;
  private long now;
  private boolean finished;
  private boolean done;
  private @Nullable String broken;

  CompletionEvents(RequestTrace trace) {
    this.trace = trace;
    this.chunk = new CompletionChunk(trace.keepsText());
  }

  /** Takes bytes that came at that time. */
  void feed(ByteBuffer bytes, long nanos) {
    now = nanos;
    try {
      parser.feed(bytes);
    } catch (SseParser.EventTooLongException e) {
      broken = e.getMessage();
    }
  }

  /** Takes one chunk that came by itself at that time. */
  void chunk(byte[] json, long nanos) {
    now = nanos;
    event(json, json.length);
  }

  /** The body is over. */
  void end(long nanos) {
    if (broken != null) {
      trace.failed(nanos, Failure.stream(broken));
    } else if (finished || done) {
      trace.completed(nanos);
    } else {
      trace.failed(nanos, Failure.stream("the stream ended before its end"));
    }
  }

  /** Nothing that comes now counts any more. */
  boolean isBroken() {
    return broken != null;
  }

  private void event(byte[] buffer, int length) {
    if (broken != null) {
      return;
    }
    if (length == DONE.length && java.util.Arrays.equals(buffer, 0, length, DONE, 0, DONE.length)) {
      done = true;
      return;
    }
    try {
      chunk.read(buffer, length);
    } catch (IOException e) {
      broken = "an event is not as it should be: " + e.getMessage();
      return;
    }
    if (chunk.error != null) {
      broken = chunk.error;
      return;
    }
    if (chunk.usage) {
      trace.usage(
          chunk.promptTokens, chunk.cachedTokens, chunk.outputTokens, chunk.reasoningTokens);
    }
    if (!chunk.choice) {
      return;
    }
    // A chunk that says nothing, and neither begins nor ends, is a token without text.
    boolean silent = !chunk.role && !chunk.finished;
    if (chunk.thought || chunk.answer || silent) {
      trace.tokens(now, chunk.answer);
      trace.text(chunk.thoughtText(), chunk.answerText());
    }
    if (chunk.finished) {
      finished = true;
      trace.finish(now);
    }
  }
}
