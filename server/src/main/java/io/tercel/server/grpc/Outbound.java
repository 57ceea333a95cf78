package io.tercel.server.grpc;

import io.grpc.stub.ServerCallStreamObserver;
import io.tercel.server.call.ApiException;
import io.tercel.server.call.CallRecord;
import io.tercel.server.call.ClientGoneException;
import io.tercel.server.call.ClientWatch;
import java.time.Duration;

/**
 * The way back to one call's client. Sending waits while the client doesn't read, so that a slow
 * one holds up itself alone; one that reads nothing for the write timeout, has cancelled or has
 * passed its deadline is gone.
 *
 * <p>One thread sends and ends. To be made before the service's method returns, as gRPC wants it.
 */
public final class Outbound<T> {
  private final ServerCallStreamObserver<T> observer;
  private final ClientWatch client;
  private final CallRecord record = GrpcCallRecord.current().take();
  private volatile boolean closed;

  Outbound(ServerCallStreamObserver<T> observer, Duration writeTimeout) {
    this.observer = observer;
    this.client = new ClientWatch(writeTimeout);
    observer.setOnReadyHandler(client::moved);
    observer.setOnCancelHandler(client::left);
    observer.setOnCloseHandler(
        () -> {
          closed = true;
          client.moved();
        });
  }

  /**
   * Sends a message.
   *
   * @throws ClientGoneException if nobody reads any more
   * @throws io.tercel.server.call.ApiException if the call's key was revoked
   */
  public void send(T message) {
    record.requireActive();
    client.await(observer::isReady);
    observer.onNext(message);
  }

  void end() {
    if (!client.gone()) {
      observer.onCompleted();
    }
  }

  void fail(Throwable failure) {
    if (failure instanceof ApiException e) {
      record.error(e.code());
    }
    if (!client.gone()) {
      observer.onError(ErrorStatus.of(failure));
    }
  }

  /**
   * Waits until all that was sent, and the end, is on the wire.
   *
   * @throws ClientGoneException if nobody reads any more
   */
  void awaitClosed() {
    client.await(() -> closed);
  }

  /** Runs the callback as soon as the client is gone, at once if it is. */
  public void whenGone(Runnable callback) {
    client.whenGone(callback);
  }

  /** Whether nobody reads any more. */
  public boolean gone() {
    return client.gone();
  }

  /** What is known of the call. */
  CallRecord record() {
    return record;
  }
}
