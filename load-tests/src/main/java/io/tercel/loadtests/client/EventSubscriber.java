package io.tercel.loadtests.client;

import io.tercel.loadtests.metrics.RequestTrace;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Flow;
import org.jspecify.annotations.Nullable;

/**
 * Reads a body as it comes, on the HTTP client's threads; and leaves, if the client is to leave.
 */
final class EventSubscriber implements HttpResponse.BodySubscriber<String> {
  private final RequestTrace trace;
  private final CompletionEvents events;
  private final int leaveAfter;
  private final CompletableFuture<String> body = new CompletableFuture<>();
  private volatile Flow.@Nullable Subscription subscription;
  private volatile boolean gone;

  /**
   * Of one request.
   *
   * @param leaveAfter leave once tokens have come that many times
   */
  EventSubscriber(RequestTrace trace, int leaveAfter) {
    this.trace = trace;
    this.events = new CompletionEvents(trace);
    this.leaveAfter = leaveAfter;
  }

  @Override
  public CompletionStage<String> getBody() {
    return body;
  }

  @Override
  public void onSubscribe(Flow.Subscription granted) {
    subscription = granted;
    if (gone) {
      granted.cancel();
    } else {
      granted.request(1);
    }
  }

  /** Closes the connection, unless all has been read; for any thread. */
  void leave() {
    gone = true;
    Flow.Subscription granted = subscription;
    if (granted != null && !body.isDone()) {
      granted.cancel();
    }
  }

  @Override
  public void onNext(List<ByteBuffer> buffers) {
    long now = System.nanoTime();
    Flow.Subscription granted = subscription;
    if (body.isDone() || granted == null) {
      return;
    }
    for (ByteBuffer buffer : buffers) {
      events.feed(buffer, now);
    }
    if (trace.tokenEvents() >= leaveAfter) {
      trace.left(System.nanoTime());
      granted.cancel();
      body.complete("");
    } else if (events.isBroken()) {
      events.end(now);
      granted.cancel();
      body.complete("");
    } else {
      granted.request(1);
    }
  }

  @Override
  public void onError(Throwable broken) {
    body.completeExceptionally(broken);
  }

  @Override
  public void onComplete() {
    events.end(System.nanoTime());
    body.complete("");
  }
}
