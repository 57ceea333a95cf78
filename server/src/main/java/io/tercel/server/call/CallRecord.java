package io.tercel.server.call;

import io.tercel.server.engine.ServiceClass;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/**
 * What is known of one call, from its head to its end: who asked, for what, and how it went. Those
 * whom the call passes write into it; what its key's limits, the request's line in the log and its
 * trace need is read from it. It has nothing of what was said. Thread-safe.
 */
public final class CallRecord {
  private static final KeyHolder NOBODY = KeyHolder.anybody(Rights.CLIENT);

  private final String wire;
  private final String id;
  private final CallObserver observer;
  private final Instant time = Instant.now();
  private final long arrived = System.nanoTime();
  private final CallUsage usage = new CallUsage();
  private final AtomicBoolean ended = new AtomicBoolean();
  private final List<Runnable> onRevocation = new ArrayList<>();
  private volatile KeyHolder holder = NOBODY;
  private volatile boolean admitted;
  private volatile boolean revoked;
  private volatile String route = "";
  private volatile boolean work;
  private volatile @Nullable String traceParent;
  private volatile @Nullable String model;
  private volatile @Nullable String answerId;
  private volatile @Nullable ServiceClass serviceClass;
  private volatile @Nullable String status;
  private volatile @Nullable String error;
  private volatile boolean clientGone;
  private volatile long reserved;
  private volatile long end;

  /**
   * Of a call that has just come.
   *
   * @param wire http or grpc
   * @param id of the request
   * @param observer is told when it has ended
   */
  public CallRecord(String wire, String id, CallObserver observer) {
    this.wire = wire;
    this.id = id;
    this.observer = observer;
  }

  /**
   * Where it goes.
   *
   * @param pattern of the route, or the method of gRPC: one of a few, whatever the client sent
   * @param asksForWork not only for what there is to read
   */
  public void goesTo(String pattern, boolean asksForWork) {
    route = pattern;
    work = asksForWork;
  }

  /** Whose key it has. */
  public void admitted(KeyHolder caller) {
    holder = caller;
    admitted = true;
    caller.begins(this);
  }

  /** W3C's header of that name, as it came. */
  public void traceParent(@Nullable String header) {
    traceParent = header;
  }

  /** What it asks for. */
  public void asks(String served, String answer, ServiceClass as) {
    model = served;
    answerId = answer;
    serviceClass = as;
  }

  /**
   * Takes the tokens that it may need from those of its key; what it didn't is given back as it
   * ends.
   *
   * @throws ApiException 429 if they are not there, or 401 if the key is no more
   */
  public void reserve(long tokens) {
    requireActive();
    reserved += holder.reserve(tokens);
  }

  /**
   * Refuses what comes by a key that is no more.
   *
   * @throws ApiException 401
   */
  public void requireActive() {
    if (revoked) {
      throw ApiException.revoked();
    }
  }

  /** Runs the callback if its key is revoked while it runs, at once if it is; it must not block. */
  public void whenRevoked(Runnable callback) {
    synchronized (onRevocation) {
      if (!revoked) {
        if (!ended.get()) {
          onRevocation.add(callback);
        }
        return;
      }
    }
    callback.run();
  }

  void revoke() {
    List<Runnable> callbacks;
    synchronized (onRevocation) {
      revoked = true;
      callbacks = List.copyOf(onRevocation);
      onRevocation.clear();
    }
    callbacks.forEach(Runnable::run);
  }

  /** How it is answered: a number of HTTP, or a code of gRPC. */
  public void status(String value) {
    status = value;
  }

  /** A word for what went wrong, such as {@code rate_limit_exceeded}. */
  public void error(@Nullable String code) {
    error = code;
  }

  /** Its client left before it had all. */
  public void clientGone() {
    clientGone |= !ended.get();
  }

  /** It is over; the first time counts. */
  public void end() {
    if (!ended.compareAndSet(false, true)) {
      return;
    }
    end = System.nanoTime();
    synchronized (onRevocation) {
      onRevocation.clear(); // what they hold may be large, and a log may come to this late
    }
    if (admitted) {
      holder.ends(this);
      holder.settle(reserved, usage.promptTokens(), usage.completionTokens());
    }
    observer.ended(this);
  }

  /** What the engine did for it. */
  public CallUsage usage() {
    return usage;
  }

  public KeyHolder holder() {
    return holder;
  }

  /** Whether it came past the key. */
  public boolean isAdmitted() {
    return admitted;
  }

  public String wire() {
    return wire;
  }

  public String id() {
    return id;
  }

  /** Empty where there is no such. */
  public String route() {
    return route;
  }

  /** Whether it asks for more than what there is to read. */
  public boolean asksForWork() {
    return work;
  }

  public @Nullable String traceParent() {
    return traceParent;
  }

  /** As the client named it; null where it did not come so far. */
  public @Nullable String model() {
    return model;
  }

  /** As the answer carries it; null where it did not come so far. */
  public @Nullable String answerId() {
    return answerId;
  }

  public @Nullable ServiceClass serviceClass() {
    return serviceClass;
  }

  public @Nullable String status() {
    return status;
  }

  public @Nullable String error() {
    return error;
  }

  public boolean isClientGone() {
    return clientGone;
  }

  /** When it came. */
  public Instant time() {
    return time;
  }

  /** The same by {@link System#nanoTime}. */
  public long arrived() {
    return arrived;
  }

  /** From its head to the last byte of its answer. */
  public Duration took() {
    return Duration.ofNanos(end - arrived);
  }
}
