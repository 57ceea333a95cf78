package io.tercel.trainer.worker;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.grpc.Deadline;
import io.grpc.StatusRuntimeException;
import io.tercel.proto.v1.GenerateRequest;
import io.tercel.proto.v1.TokenIds;
import io.tercel.server.UserException;
import io.tercel.server.engine.ServiceClass;
import io.tercel.server.engine.StaleKv;
import io.tercel.trainer.data.PromptSet.Prompt;
import io.tercel.trainer.rollout.Rollout;
import io.tercel.trainer.rollout.RolloutGroup;
import io.tercel.trainer.rollout.RolloutSource;
import io.tercel.trainer.rollout.Rollouts;
import io.tercel.trainer.share.ServedStudent;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.ObjDoubleConsumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The engine of this process and workers beside it. Each group goes to whoever has the fewest
 * answers under way for its places. What a worker doesn't bring to its end is asked again, whole
 * and by the same seed, elsewhere: where all compute the same bits, an answer is a function of
 * prompt, weights and seed, whoever gives it. What a worker still has when this engine has long
 * been done, this engine answers too: who ends first counts, and a worker that is beaten is put
 * aside.
 *
 * <p>Before the first group after new weights all workers are sent what they lack, at the same
 * time; this process waits for them as long as a worker may take, but not for one that is put
 * aside.
 */
final class RolloutFleet implements RolloutSource {
  private static final Logger LOGGER = LoggerFactory.getLogger(RolloutFleet.class);
  private static final Duration OPENING = Duration.ofSeconds(10);

  private final Rollouts local;
  private final StudentWeights student;
  private final List<RolloutWorker> workers;
  private final int places;
  private final long patienceNanos;
  private final Map<Asked, RolloutWorker> elsewhere = new ConcurrentHashMap<>();
  private final WorkerFigures here = new WorkerFigures();
  private final ExecutorService senders =
      Executors.newCachedThreadPool(Thread.ofPlatform().daemon().name("weights-out-", 0).factory());
  private final ScheduledExecutorService watch =
      Executors.newSingleThreadScheduledExecutor(
          Thread.ofPlatform().daemon().name("rollout-watch").factory());
  private final ObjDoubleConsumer<String> speedGauge;
  private final ObjDoubleConsumer<String> answersGauge;
  private final ObjDoubleConsumer<String> asideGauge;
  private final ObjDoubleConsumer<String> bytesGauge;
  private final ObjDoubleConsumer<String> readyGauge;
  private volatile long brought = -1;
  private int localAnswers;
  private long idleSince = System.nanoTime();
  private boolean closed;

  /** A group that is to be answered. */
  private static final class Asked {
    final Prompt prompt;
    final int size;
    final long seed;
    final StaleKv stale;
    final CompletableFuture<List<Rollout>> answer = new CompletableFuture<>();
    volatile long since;
    volatile boolean givenUp;

    Asked(Prompt prompt, int size, long seed, StaleKv stale) {
      this.prompt = prompt;
      this.size = size;
      this.seed = seed;
      this.stale = stale;
    }
  }

  private RolloutFleet(
      Rollouts local, ServedStudent served, List<RolloutWorker> workers, Duration timeout) {
    this.local = local;
    this.student = new StudentWeights(served);
    this.workers = List.copyOf(workers);
    this.places = served.running().info().maxNumSeqs();
    this.patienceNanos = timeout.toNanos();
    var metrics = served.metrics();
    speedGauge = metrics.workers("worker_tokens_per_second", "While it had something to do.");
    answersGauge = metrics.workers("worker_answers", "Of the last step.");
    asideGauge = metrics.workers("worker_put_aside", "Times that it was, last step.");
    bytesGauge = metrics.workers("worker_sent_bytes", "Of weights, last step.");
    readyGauge = metrics.workers("worker_ready", "1 if it takes groups, 0 if it is put aside.");
    long period = Math.clamp(timeout.toMillis() / 8, 10, 1000);
    var unused = watch.scheduleWithFixedDelay(this::watch, period, period, TimeUnit.MILLISECONDS);
  }

  /**
   * Asks all workers what they serve. One that doesn't answer is tried again later.
   *
   * @param key of their administrators; or none
   * @throws UserException if one can't be of use; nothing stays open, the rollouts excepted
   */
  static RolloutFleet open(
      Rollouts local,
      ServedStudent served,
      List<WorkerAddress> addresses,
      @Nullable String key,
      Duration timeout) {
    List<RolloutWorker> workers =
        addresses.stream().map(address -> new RolloutWorker(address, key, timeout)).toList();
    RolloutFleet fleet = null;
    try {
      fleet = new RolloutFleet(local, served, workers, timeout);
      fleet.connect(timeout.compareTo(OPENING) < 0 ? timeout : OPENING);
      return fleet;
    } catch (RuntimeException e) {
      if (fleet != null) {
        fleet.stop();
      }
      workers.forEach(RolloutWorker::close);
      throw e;
    }
  }

  private void connect(Duration within) {
    Deadline deadline = Deadline.after(within.toMillis(), TimeUnit.MILLISECONDS);
    List<CompletableFuture<?>> all = new ArrayList<>();
    for (RolloutWorker worker : workers) {
      all.add(
          CompletableFuture.runAsync(
              () -> {
                try {
                  String unused = worker.connect(student.fit(), deadline);
                } catch (StatusRuntimeException e) {
                  LOGGER.warn(
                      "rollout worker {} doesn't answer yet: {}", worker.address(), e.getStatus());
                }
              },
              senders));
    }
    try {
      CompletableFuture.allOf(all.toArray(CompletableFuture[]::new)).join();
    } catch (CompletionException e) {
      throw e.getCause() instanceof RuntimeException cause ? cause : new IllegalStateException(e);
    }
  }

  @Override
  public CompletableFuture<List<Rollout>> group(Prompt prompt, int size, long seed, StaleKv stale) {
    bringWeights();
    Asked asked = new Asked(prompt, size, seed, stale);
    deal(asked);
    return asked.answer;
  }

  private void bringWeights() {
    long version = student.version();
    if (version == brought) {
      return;
    }
    brought = version; // whoever holds another one takes no groups from now on
    List<CompletableFuture<?>> all = new ArrayList<>();
    for (RolloutWorker worker : workers) {
      if (worker.due()) {
        boolean waitFor = worker.alive();
        var bringing = CompletableFuture.runAsync(() -> worker.bring(student, version), senders);
        if (waitFor) { // one that was dead joins when it is there
          all.add(bringing);
        }
      }
    }
    CompletableFuture.allOf(all.toArray(CompletableFuture[]::new)).join();
  }

  private void deal(Asked asked) {
    RolloutWorker worker = choose(asked);
    if (worker == null) {
      askHere(asked, null);
      return;
    }
    asked.since = System.nanoTime();
    elsewhere.put(asked, worker);
    var unused =
        worker
            .ask(request(asked), new RolloutGroup(asked.prompt, asked.size))
            .whenComplete(
                (rollouts, failure) -> {
                  asked.givenUp = failure != null;
                  boolean waited = elsewhere.remove(asked, worker);
                  if (rollouts != null) {
                    answered(asked, rollouts, worker.figures());
                  } else if (isClosed()) {
                    asked.answer.completeExceptionally(Objects.requireNonNull(failure));
                  } else if (waited) {
                    deal(asked); // it is put aside by now
                  }
                });
  }

  /** Null: this process's engine. */
  private @Nullable RolloutWorker choose(Asked asked) {
    int tokens = asked.prompt.tokens().length + local.maxTokens(asked.prompt);
    RolloutWorker chosen = null;
    double least;
    synchronized (this) {
      least = (double) (localAnswers + asked.size) / places;
    }
    for (RolloutWorker worker : workers) {
      double load = worker.load(asked.size, tokens, brought);
      if (load < least) {
        least = load;
        chosen = worker;
      }
    }
    return chosen;
  }

  /** Takes over what a worker has not answered though this engine has long been done. */
  private void watch() {
    workers.forEach(RolloutWorker::watch);
    long now = System.nanoTime();
    synchronized (this) {
      if (localAnswers > 0 || now - idleSince < patienceNanos) {
        return;
      }
    }
    elsewhere.forEach(
        (asked, worker) -> {
          if (now - asked.since >= patienceNanos && elsewhere.remove(asked, worker)) {
            askHere(asked, worker);
          }
        });
  }

  /** Whoever ends first has answered; whether that is this one. */
  private static boolean answered(Asked asked, List<Rollout> rollouts, WorkerFigures figures) {
    synchronized (asked) {
      if (asked.answer.isDone()) {
        return false;
      }
      figures.answered(rollouts.size(), rollouts.stream().mapToLong(r -> r.tokens().length).sum());
      asked.answer.complete(rollouts);
      return true;
    }
  }

  /**
   * Has this engine answer.
   *
   * @param late who was asked before, and may be faster still; or nobody
   */
  private void askHere(Asked asked, @Nullable RolloutWorker late) {
    count(asked.size);
    here.began();
    CompletableFuture<List<Rollout>> answer;
    try {
      answer = local.group(asked.prompt, asked.size, asked.seed, asked.stale);
    } catch (RuntimeException e) { // the engine has stopped
      answer = CompletableFuture.failedFuture(e);
    }
    var unused =
        answer.whenComplete(
            (rollouts, failure) -> {
              count(-asked.size);
              here.ended();
              if (rollouts == null) {
                asked.answer.completeExceptionally(Objects.requireNonNull(failure));
              } else if (answered(asked, rollouts, here) && late != null && !asked.givenUp) {
                late.beaten();
              }
            });
  }

  private synchronized void count(int answers) {
    localAnswers += answers;
    idleSince = System.nanoTime();
  }

  /** All that {@link Rollouts#group} says to the engine; a server's own defaults are none of it. */
  private GenerateRequest request(Asked asked) {
    Rollouts.Sampling sampling = local.sampling();
    return GenerateRequest.newBuilder()
        .setTokenIds(
            TokenIds.newBuilder().addAllIds(Arrays.stream(asked.prompt.tokens()).boxed().toList()))
        .setN(asked.size)
        .setMaxTokens(local.maxTokens(asked.prompt))
        .setTemperature(sampling.temperature())
        .setTopP(sampling.topP())
        .setTopK(0)
        .setMinP(0)
        .setRepetitionPenalty(1)
        .setSeed(asked.seed)
        .setLogprobs(0)
        .setThinkingTokenBudget(-1)
        .setLoopBreaker(false)
        .setReturnText(false)
        .setServiceClass(ServiceClass.ROLLOUT.label())
        .setStaleKv(asked.stale.label())
        .build();
  }

  @Override
  public void describe(ObjectNode line) {
    WorkerFigures.Counted ours = here.take();
    ObjectNode sources = line.objectNode();
    sources.set("here", ours.describe(line.objectNode()));
    long theirs = 0;
    for (RolloutWorker worker : workers) {
      String name = worker.address().toString();
      WorkerFigures.Counted counted = worker.figures().take();
      theirs += counted.tokens();
      sources.set(name, counted.describe(line.objectNode()));
      speedGauge.accept(name, counted.tokensPerSecond());
      answersGauge.accept(name, counted.answers());
      asideGauge.accept(name, counted.aside());
      bytesGauge.accept(name, counted.sentBytes());
      readyGauge.accept(name, worker.ready() ? 1 : 0);
    }
    line.put("worker_share", theirs / Math.max(1.0, theirs + ours.tokens()));
    line.set("answered_by", sources);
  }

  /** What workers are sent. */
  StudentWeights student() {
    return student;
  }

  /** Workers that take groups. */
  int ready() {
    return (int) workers.stream().filter(RolloutWorker::ready).count();
  }

  private synchronized boolean isClosed() {
    return closed;
  }

  private void stop() {
    synchronized (this) {
      closed = true;
    }
    watch.shutdownNow();
    senders.shutdownNow();
  }

  @Override
  public void close() {
    stop();
    workers.forEach(RolloutWorker::close);
    local.close();
  }
}
