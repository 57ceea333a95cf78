package io.tercel.trainer.worker;

import io.grpc.Deadline;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.AbstractStub;
import io.grpc.stub.MetadataUtils;
import io.tercel.kernels.exchange.WeightHistory;
import io.tercel.proto.v1.ControlGrpc;
import io.tercel.proto.v1.GenerateRequest;
import io.tercel.proto.v1.GetInfoRequest;
import io.tercel.proto.v1.GetInfoResponse;
import io.tercel.proto.v1.GetModelRequest;
import io.tercel.proto.v1.GetModelResponse;
import io.tercel.proto.v1.GetWeightChecksumRequest;
import io.tercel.proto.v1.GetWeightChecksumResponse;
import io.tercel.proto.v1.InferenceGrpc;
import io.tercel.proto.v1.Limits;
import io.tercel.proto.v1.UpdateWeightsResponse;
import io.tercel.proto.v1.WeightUpdateBegin;
import io.tercel.server.UserException;
import io.tercel.trainer.rollout.Rollout;
import io.tercel.trainer.rollout.RolloutGroup;
import java.time.Duration;
import java.util.ConcurrentModificationException;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A worker: its connection, the weights that it holds, and the groups that it answers. One that
 * fails in anything is put aside, with all that it has not answered yet, and tried again when new
 * weights are published and some time has passed.
 *
 * <p>Threads: one at a time has it take weights; all else is thread-safe.
 */
final class RolloutWorker implements AutoCloseable {
  private static final Logger LOGGER = LoggerFactory.getLogger(RolloutWorker.class);
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);
  private static final Duration FIRST_BACKOFF = Duration.ofSeconds(1);
  private static final int MOST_DOUBLINGS = 6;
  private static final Duration KEEP_ALIVE = Duration.ofSeconds(20);

  private final WorkerAddress address;
  private final ManagedChannel channel;
  private final @Nullable String key;
  private final Duration timeout;
  private final WorkerFigures figures = new WorkerFigures();
  private final Map<Long, Long> versions = new ConcurrentHashMap<>();
  private final Set<GroupCall> calls = new HashSet<>();
  private Limits limits = Limits.getDefaultInstance();
  private volatile @Nullable Held held;
  private boolean ready;
  private boolean alive;
  private boolean taking;
  private int epoch;
  private int failures;
  private long retryAt = System.nanoTime();
  private int outstanding;
  private volatile long lastHeard;

  /**
   * The weights that it has.
   *
   * @param version its own number
   * @param trained the trainer's
   */
  private record Held(String instance, long version, long trained) {}

  /**
   * Connects to nothing yet.
   *
   * @param key of its administrator; or none
   * @param timeout it may say nothing for so long, and take so long for weights
   */
  RolloutWorker(WorkerAddress address, @Nullable String key, Duration timeout) {
    this.address = address;
    this.key = key;
    this.timeout = timeout;
    this.channel =
        ManagedChannelBuilder.forAddress(address.host(), address.port())
            .usePlaintext()
            .disableRetry()
            .keepAliveTime(KEEP_ALIVE.toSeconds(), TimeUnit.SECONDS)
            .keepAliveTimeout(Math.min(timeout.toMillis(), 20_000), TimeUnit.MILLISECONDS)
            .build();
  }

  WorkerAddress address() {
    return address;
  }

  WorkerFigures figures() {
    return figures;
  }

  private <S extends AbstractStub<S>> S withKey(S stub) {
    if (key == null) {
      return stub;
    }
    Metadata headers = new Metadata();
    headers.put(AUTHORIZATION, "Bearer " + key);
    return stub.withInterceptors(MetadataUtils.newAttachHeadersInterceptor(headers));
  }

  private ControlGrpc.ControlBlockingStub control(Deadline deadline) {
    return withKey(ControlGrpc.newBlockingStub(channel)).withDeadline(deadline);
  }

  /**
   * Asks what it serves.
   *
   * @return the process that answers
   * @throws UserException if it can't be of use, whatever is sent to it
   * @throws StatusRuntimeException if it doesn't answer
   */
  String connect(WorkerFit fit, Deadline deadline) {
    try {
      GetModelResponse model = control(deadline).getModel(GetModelRequest.getDefaultInstance());
      GetInfoResponse info = control(deadline).getInfo(GetInfoRequest.getDefaultInstance());
      fit.require(address, model, info);
      synchronized (this) {
        limits = info.getLimits();
        alive = true;
      }
      return model.getInstance();
    } catch (StatusRuntimeException e) {
      throw switch (e.getStatus().getCode()) {
        case UNAUTHENTICATED, PERMISSION_DENIED ->
            new UserException(
                "--rollout-servers: %s wants its admin key: --rollout-key (%s)"
                    .formatted(address, e.getStatus().getDescription()),
                e);
        case UNIMPLEMENTED ->
            new UserException(
                "--rollout-servers: %s takes no weights: it is another version of tercel"
                    .formatted(address),
                e);
        default -> e;
      };
    }
  }

  /** Whether it is to be tried: it works, or has been put aside long enough. */
  synchronized boolean due() {
    return !taking && (ready || System.nanoTime() - retryAt >= 0);
  }

  /** Whether it has answered when it was last spoken to, so that it is worth waiting for. */
  synchronized boolean alive() {
    return alive;
  }

  /**
   * Sees to it that it holds the student's present weights, or puts it aside.
   *
   * @param version the present one
   */
  void bring(StudentWeights student, long version) {
    int begun;
    boolean again;
    synchronized (this) {
      begun = epoch;
      again = !ready;
      taking = true;
    }
    try {
      Deadline deadline = Deadline.after(timeout.toMillis(), TimeUnit.MILLISECONDS);
      if (again) {
        channel.resetConnectBackoff();
        versions.clear(); // of calls that were given up
      }
      take(student, version, again, deadline);
      synchronized (this) {
        if (epoch == begun) {
          ready = alive = true;
        }
      }
    } catch (ConcurrentModificationException e) { // it is not to blame
      putAside(begun, describe(e));
      synchronized (this) {
        alive = true;
        retryAt = System.nanoTime();
      }
    } catch (RuntimeException e) {
      putAside(begun, describe(e));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      putAside(begun, "interrupted");
    } finally {
      synchronized (this) {
        taking = false;
      }
    }
  }

  private void take(StudentWeights student, long version, boolean again, Deadline deadline)
      throws InterruptedException {
    Held has = held;
    if (has != null && student.history().knows(has.trained)) {
      try {
        versions.put(has.version, has.trained);
        if (has.trained != version) {
          send(student, has, has.trained, version, deadline);
        } else if (again) {
          requireStill(has, deadline);
        }
        return;
      } catch (StatusRuntimeException e) {
        if (e.getStatus().getCode() != Status.Code.FAILED_PRECONDITION) {
          throw e;
        }
        held = null; // it was started again, or somebody else has written
      }
    }
    String instance = connect(student.fit(), deadline);
    GetWeightChecksumResponse has0 =
        control(deadline).getWeightChecksum(GetWeightChecksumRequest.getDefaultInstance());
    Held found = new Held(instance, has0.getWeightVersion(), version);
    if (!has0.getDigest().equals(digest(student, version))) {
      send(student, found, WeightHistory.NONE, version, deadline);
      GetWeightChecksumResponse now =
          control(deadline).getWeightChecksum(GetWeightChecksumRequest.getDefaultInstance());
      if (!now.getDigest().equals(digest(student, version))) {
        held = null;
        throw new IllegalStateException("it holds other weights than were sent");
      }
    } else {
      versions.put(found.version, version);
      held = found;
    }
  }

  /** After it was put aside without new weights. */
  private void requireStill(Held has, Deadline deadline) {
    GetModelResponse now = control(deadline).getModel(GetModelRequest.getDefaultInstance());
    if (!now.getInstance().equals(has.instance) || now.getWeightVersion() != has.version) {
      throw Status.FAILED_PRECONDITION.asRuntimeException();
    }
  }

  private static String digest(StudentWeights student, long version) {
    var checksum = student.checksum();
    if (checksum.version() != version) {
      throw new ConcurrentModificationException("the next weights were there before it had these");
    }
    return checksum.hex();
  }

  private void send(StudentWeights student, Held has, long since, long version, Deadline deadline)
      throws InterruptedException {
    // tokens of the new weights may come before the answer that says that they are in service
    versions.put(has.version + 1, version);
    WeightUpdateBegin.Builder begin = WeightUpdateBegin.newBuilder();
    if (since != WeightHistory.NONE) {
      begin.setInstance(has.instance).setBaseVersion(has.version);
    }
    WeightSender.Sent sent =
        WeightSender.send(
            withKey(ControlGrpc.newStub(channel)),
            student.history(),
            since,
            begin.build(),
            deadline);
    figures.sent(sent.bytes());
    UpdateWeightsResponse answer = sent.answer();
    if (answer.getWeightVersion() != has.version + 1
        || !answer.getInstance().equals(has.instance)) {
      held = null;
      throw new IllegalStateException("somebody else changes its weights");
    }
    held = new Held(answer.getInstance(), answer.getWeightVersion(), version);
  }

  private static String describe(Throwable failure) {
    if (failure instanceof StatusRuntimeException e) {
      String description = e.getStatus().getDescription();
      return e.getStatus().getCode() + (description == null ? "" : ": " + description);
    }
    return String.valueOf(failure.getMessage());
  }

  /**
   * What its places would be taken by; infinite if it can't have them.
   *
   * @param size answers more
   * @param tokens of prompt and answer, at the most
   * @param version the trainer's, of the weights that are to answer
   */
  synchronized double load(int size, int tokens, long version) {
    Held has = held;
    boolean fits = size <= limits.getMaxChoices() && tokens <= limits.getMaxModelLen();
    return ready && fits && has != null && has.trained == version
        ? (double) (outstanding + size) / Math.max(1, limits.getMaxNumSeqs())
        : Double.POSITIVE_INFINITY;
  }

  /**
   * Has a group answered. If that fails the worker is put aside.
   *
   * @param request for as many answers as the group has
   */
  synchronized CompletableFuture<List<Rollout>> ask(GenerateRequest request, RolloutGroup group) {
    if (!ready) {
      return CompletableFuture.failedFuture(new IllegalStateException(address + " is put aside"));
    }
    int asked = epoch;
    if (calls.isEmpty()) {
      lastHeard = System.nanoTime();
    }
    GroupCall call =
        new GroupCall(group, request.getN(), versions, () -> lastHeard = System.nanoTime());
    calls.add(call);
    outstanding += call.size();
    figures.began();
    CompletableFuture<List<Rollout>> answer =
        call.answer().whenComplete((_, failure) -> over(call, asked, failure));
    withKey(InferenceGrpc.newStub(channel)).generate(request, call);
    return answer;
  }

  private void over(GroupCall call, int asked, @Nullable Throwable failure) {
    if (failure != null) {
      putAside(asked, describe(failure));
    }
    synchronized (this) {
      calls.remove(call);
      outstanding -= call.size();
      failures = failure == null ? 0 : failures; // it works, rather than only answers
    }
    figures.ended();
  }

  /** Somebody else was faster, though he was asked much later: it is put aside for long. */
  void beaten() {
    int now;
    synchronized (this) {
      if (!ready) {
        return;
      }
      now = epoch;
      failures = Math.max(failures, MOST_DOUBLINGS);
    }
    putAside(now, "it lags behind");
  }

  /** Puts it aside if it has something to answer and has said nothing for too long. */
  void watch() {
    int now;
    synchronized (this) {
      if (calls.isEmpty() || System.nanoTime() - lastHeard < timeout.toNanos()) {
        return;
      }
      now = epoch;
    }
    putAside(now, "it has said nothing for %.1f s".formatted(timeout.toMillis() / 1e3));
  }

  private void putAside(int of, String why) {
    List<GroupCall> left;
    long seconds;
    synchronized (this) {
      if (epoch != of) {
        return; // it was, for this or for something else
      }
      epoch++;
      ready = alive = false;
      seconds = FIRST_BACKOFF.toSeconds() << Math.min(failures++, MOST_DOUBLINGS);
      retryAt = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds);
      left = List.copyOf(calls);
    }
    figures.putAside();
    LOGGER.warn(
        "rollout worker {} is put aside for {} s: {}; groups that are asked elsewhere: {}",
        address,
        seconds,
        why,
        left.size());
    left.forEach(call -> call.cancel("put aside"));
  }

  /** Whether it takes groups now. */
  synchronized boolean ready() {
    return ready;
  }

  @Override
  public void close() {
    synchronized (this) {
      epoch++;
      ready = false;
    }
    channel.shutdownNow();
  }
}
