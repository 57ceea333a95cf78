package io.tercel.server.grpc;

import com.google.protobuf.MessageLite;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import io.tercel.server.call.ApiException;
import io.tercel.server.call.ClientGoneException;
import io.tercel.server.call.RunningCalls;
import java.time.Duration;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The calls of a server that take their time: each has a virtual thread of its own, and counts as
 * running until its client has all of it.
 */
public final class GrpcCalls {
  private static final Logger log = LoggerFactory.getLogger(GrpcCalls.class);

  private final RunningCalls running;
  private final Duration writeTimeout;

  /**
   * None yet.
   *
   * @param writeTimeout a client that reads nothing for so long is gone
   */
  GrpcCalls(RunningCalls running, Duration writeTimeout) {
    this.running = running;
    this.writeTimeout = writeTimeout;
  }

  /** What a call does; its end is the call's. */
  @FunctionalInterface
  public interface Work<T> {
    /** Sends what there is to send; what is thrown is told to the client. */
    void run(Outbound<T> out) throws Exception;
  }

  /** Runs a call; to be called by the service's method, on the thread that it is called on. */
  public <T> void run(MessageLite request, StreamObserver<T> observer, Work<T> work) {
    Outbound<T> out = new Outbound<>((ServerCallStreamObserver<T>) observer, writeTimeout);
    int bytes = request.getSerializedSize();
    try {
      running.begin(bytes);
    } catch (ApiException e) {
      out.fail(e);
      out.record().end();
      return;
    }
    // callbacks of the call come on the thread that is here now: it must not wait for the client
    Thread.ofVirtual()
        .name("grpc-call")
        .start(
            () -> {
              try {
                work.run(out);
                out.end();
              } catch (ClientGoneException e) {
                log.debug("a gRPC call ended early: {}", e.getMessage());
                out.fail(e);
              } catch (Throwable e) { // a virtual thread has nobody above it
                out.fail(e);
              } finally {
                awaitClosed(out);
                running.end(bytes);
                out.record().end();
              }
            });
  }

  /** A call runs until its client has all of it. */
  private static void awaitClosed(Outbound<?> out) {
    try {
      out.awaitClosed();
    } catch (ClientGoneException e) {
      log.debug("a gRPC call's end was not read: {}", e.getMessage());
    }
  }
}
