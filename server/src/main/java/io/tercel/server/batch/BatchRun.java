package io.tercel.server.batch;

import io.tercel.server.UserException;
import java.net.ConnectException;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Answers a file of requests into another, in order: so many sequences are under way at a time, and
 * answers that come before their turn wait in memory. A server that is busy is asked again, and one
 * that is gone ends the run; running it again goes on behind the last answer that was written.
 */
public final class BatchRun {
  /** Requests that may be ahead of the first unanswered one, for each sequence under way. */
  private static final int AHEAD = 8;

  private static final int MAX_ATTEMPTS = 6;

  private final BatchClient client;
  private final BatchDefaults defaults;
  private final int inFlight;
  private final BatchProgress progress;
  private final BlockingQueue<Pending> came = new LinkedBlockingQueue<>();
  private final Deque<Pending> order = new ArrayDeque<>();
  private final long heldLimit = Runtime.getRuntime().maxMemory() / 8;
  private int running;
  private long held;
  private int failed;

  /** A request that is under way, or whose answer waits for its turn. */
  private static final class Pending {
    final BatchLine line;
    int attempts;
    @Nullable HttpResponse<byte[]> response;
    @Nullable Throwable failure;
    byte @Nullable [] answer;

    Pending(BatchLine line) {
      this.line = line;
    }
  }

  /**
   * What became of a file.
   *
   * @param answers that the output has
   * @param kept of them, those that were there before
   * @param failed of the new ones, errors
   */
  public record Result(int answers, int kept, int failed) {}

  /**
   * A run that has not begun.
   *
   * @param inFlight sequences under way at a time; a request of more goes alone
   */
  public BatchRun(
      BatchClient client, BatchDefaults defaults, int inFlight, BatchProgress progress) {
    this.client = client;
    this.defaults = defaults;
    this.inFlight = inFlight;
    this.progress = progress;
  }

  /**
   * Runs to the end of the input.
   *
   * @throws UserException in one line, if a file can't be read or written or the server is gone
   */
  public Result run(Path from, Path to) throws InterruptedException {
    if (BatchOutput.same(from, to)) {
      throw new UserException("--output: is the input itself: " + to);
    }
    int total = BatchInput.count(from);
    try (BatchInput input = new BatchInput(from, defaults);
        BatchOutput output = BatchOutput.resume(to, input)) {
      int kept = output.lines();
      progress.begin(total, kept);
      BatchLine next = input.next();
      while (next != null || !order.isEmpty()) {
        while (next != null && hasRoom(next)) {
          admit(new Pending(next));
          next = input.next();
        }
        flush(output);
        if (running > 0) {
          take(came.take());
          flush(output);
        }
      }
      return new Result(output.lines(), kept, failed);
    }
  }

  private boolean hasRoom(BatchLine line) {
    return (running == 0 || running + line.sequences() <= inFlight)
        && order.size() < AHEAD * inFlight
        && held < heldLimit;
  }

  private void admit(Pending pending) {
    order.add(pending);
    String fault = pending.line.fault();
    if (fault == null) {
      running += pending.line.sequences();
      send(pending, Duration.ZERO);
    } else {
      done(pending, BatchAnswer.fault(pending.line, fault), 0, true);
    }
  }

  private void send(Pending pending, Duration delay) {
    var body = pending.line.body();
    if (body == null) {
      throw new IllegalStateException("line " + pending.line.number() + " is no request");
    }
    CompletableFuture.supplyAsync(
            () -> client.send(pending.line.path(), body),
            CompletableFuture.delayedExecutor(delay.toMillis(), TimeUnit.MILLISECONDS))
        .thenCompose(answer -> answer)
        .whenComplete(
            (response, failure) -> {
              pending.response = response;
              pending.failure = failure;
              came.add(pending);
            });
  }

  /** Whether answers would be written over the requests, whatever the files are called. */
  public static boolean isSameFile(Path input, Path output) {
    return BatchOutput.same(input, output);
  }

  /** What came of a request: an answer, or a reason to ask again or to give up. */
  private void take(Pending pending) {
    HttpResponse<byte[]> response = pending.response;
    if (response == null) {
      again(pending, broken(pending.failure));
      return;
    }
    int status = response.statusCode();
    switch (status) {
      case 401, 403 ->
          throw new UserException(
              "%s answered %d: %s"
                  .formatted(client.base(), status, message(response.body(), "is the key right?")));
      case 429 -> { // it has a queue, and this is its turn
        pending.attempts = 0;
        send(pending, retryAfter(response));
      }
      case 502, 503, 504 -> again(pending, client.base() + " answered " + status);
      default -> {
        running -= pending.line.sequences();
        String id = response.headers().firstValue("x-request-id").orElse(null);
        done(
            pending,
            BatchAnswer.of(pending.line, status, response.body(), id),
            tokens(response.body()),
            status != 200);
      }
    }
  }

  private void again(Pending pending, String why) {
    pending.attempts++;
    if (pending.attempts >= MAX_ATTEMPTS) {
      throw new UserException(why + "; run the same command again to go on from there");
    }
    send(pending, Duration.ofMillis(250L << (2 * (pending.attempts - 1)))); // 0.25 to 64 s
  }

  private static Duration retryAfter(HttpResponse<byte[]> response) {
    long seconds = response.headers().firstValueAsLong("retry-after").orElse(1);
    return Duration.ofSeconds(Math.clamp(seconds, 1, 60));
  }

  private String broken(@Nullable Throwable failure) {
    for (Throwable t = failure; t != null; t = t.getCause()) {
      if (t instanceof ConnectException) {
        return "no server answers at " + client.base();
      }
    }
    return "the connection to " + client.base() + " broke";
  }

  private void done(Pending pending, byte[] answer, long tokens, boolean error) {
    pending.answer = answer;
    pending.response = null;
    held += answer.length;
    failed += error ? 1 : 0;
    progress.answered(tokens, error);
  }

  private void flush(BatchOutput output) {
    while (!order.isEmpty()) {
      byte[] answer = order.getFirst().answer;
      if (answer == null) {
        return;
      }
      output.add(answer);
      held -= answer.length;
      order.removeFirst();
    }
  }

  private static long tokens(byte[] body) {
    Map<String, String> texts = BatchAnswer.texts(body);
    String tokens =
        texts == null
            ? null
            : texts.getOrDefault("usage.completion_tokens", texts.get("usage.output_tokens"));
    return tokens == null ? 0 : Long.parseLong(tokens);
  }

  private static String message(byte[] body, String otherwise) {
    Map<String, String> texts = BatchAnswer.texts(body);
    String message = texts == null ? null : texts.get("error.message");
    return message == null ? otherwise : message.lines().findFirst().orElse(otherwise);
  }
}
