package io.tercel.server.engine;

import io.tercel.kernels.ops.Backend;
import io.tercel.server.engine.EngineEvent.FinishReason;
import io.tercel.server.engine.Scheduler.Chunk;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Takes requests from any thread and runs them in batches on one thread of its own: inbox,
 * schedule, step, events, and again. Sequences join and leave between steps; one call of the
 * backend a step holds them all.
 *
 * <p>Threads: {@link #submit}, {@link #betweenSteps}, {@link Generation} and the readings may be
 * used from anywhere; everything else (scheduler, blocks, sequences, backend) belongs to the loop's
 * thread, which takes no lock and never waits for a client.
 */
public final class Engine implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(Engine.class);

  private final Backend backend;
  private final int maxModelLen;
  private final RequestCheck requestCheck;
  private final Scheduler scheduler;
  private final BlockManager blocks;
  private final Stepper stepper;
  private final QueuedGeneration.Owner owner = new Clients();
  private final ConcurrentLinkedQueue<Runnable> inbox = new ConcurrentLinkedQueue<>();
  private final WaitingRoom waitingRoom;
  private final StatsPublisher stats;
  private final StallWatch stallWatch;
  private final AtomicLong arrivals = new AtomicLong();
  private final Thread loop;

  private volatile boolean draining;
  private volatile boolean paused;
  private volatile boolean closed;
  private volatile boolean ended;
  private final CompletableFuture<Throwable> failure = new CompletableFuture<>();

  private long weightVersion;

  /**
   * Starts the loop.
   *
   * @param backend closed with the engine
   */
  public Engine(Backend backend, EngineConfig config) {
    this.backend = backend;
    this.blocks =
        new BlockManager(
            backend.numBlocks(),
            backend.blockSize(),
            config.prefixCaching(),
            config.prefixCacheListener());
    this.weightVersion = backend.weightVersion();
    this.scheduler = new Scheduler(blocks, config, weightVersion);
    long poolTokens = (long) backend.numBlocks() * backend.blockSize();
    this.maxModelLen = (int) Math.min(poolTokens, config.model().maxModelLen());
    this.requestCheck = new RequestCheck(config, maxModelLen);
    this.stepper = new Stepper(backend, scheduler, blocks, config, maxModelLen);
    this.waitingRoom = new WaitingRoom(config);
    this.stats = new StatsPublisher(scheduler, blocks, stepper, waitingRoom, weightVersion);
    this.stallWatch = new StallWatch(config.stallTimeout());
    this.loop = Thread.ofPlatform().name("tercel-engine").start(this::run);
  }

  /** Tokens of a KV block, the unit in which prefixes are cached. */
  public int blockSize() {
    return blocks.blockSize();
  }

  /**
   * Queues a request.
   *
   * @throws InvalidRequestException if it can never run: a parameter out of range, a prompt that
   *     doesn't fit, more choices than may ever wait
   * @throws OverloadedException if no more may wait, or the engine is closing or has failed
   */
  public Generation submit(GenerationRequest request) {
    return submit(List.of(request)).getFirst();
  }

  /**
   * Queues several requests of one class, all or none.
   *
   * @throws InvalidRequestException if one of them can never run, or they are more than may ever
   *     wait
   * @throws OverloadedException as for one
   */
  public List<Generation> submit(List<GenerationRequest> requests) {
    requests.forEach(requestCheck::check);
    if (failed()) {
      throw new OverloadedException("the engine has failed", true);
    }
    if (draining || closed) {
      throw new OverloadedException("the server is shutting down", true);
    }
    ServiceClass c = requests.getFirst().serviceClass();
    if (requests.stream().anyMatch(r -> r.serviceClass() != c)) {
      throw new IllegalArgumentException("requests of several classes of service at once");
    }
    int sequences = requests.stream().mapToInt(r -> r.params().n()).sum();
    waitingRoom.enter(c, sequences);
    List<Generation> generations = new ArrayList<>();
    List<List<Sequence>> all = new ArrayList<>();
    for (GenerationRequest request : requests) {
      QueuedGeneration generation = new QueuedGeneration(request.id(), request.params().n(), owner);
      generations.add(generation);
      all.add(Sequence.choices(generation, request, arrivals.getAndIncrement()));
    }
    post(() -> admit(c, sequences, all));
    if (ended) { // it may not see the inbox any more
      generations.forEach(g -> ((QueuedGeneration) g).post(stopped()));
    }
    return generations;
  }

  private void admit(ServiceClass c, int sequences, List<List<Sequence>> all) {
    stats.admitted(c, sequences);
    all.forEach(scheduler::add);
  }

  private EngineEvent.Failed stopped() {
    return new EngineEvent.Failed(
        failed() ? "the engine has failed" : "the server was shut down", true);
  }

  /**
   * Has an action run on the engine's thread between two steps, when nothing is being computed: the
   * place to write weights. The engine stands still meanwhile. If the backend's weight version is
   * another one afterwards, the prefix cache is emptied, and each running sequence keeps or loses
   * its keys and values as its request says ({@link GenerationRequest#staleKv}).
   *
   * @return the action's result or exception; {@link IllegalStateException} if the engine has
   *     stopped
   */
  public <T extends @Nullable Object> CompletableFuture<T> betweenSteps(Callable<T> action) {
    CompletableFuture<T> result = new CompletableFuture<>();
    Runnable stopped =
        () -> result.completeExceptionally(new IllegalStateException("the engine has stopped"));
    post(
        () -> {
          if (ended) {
            stopped.run();
          } else {
            act(action, result);
          }
        });
    if (ended) {
      stopped.run();
    }
    return result;
  }

  /**
   * Stops stepping until {@link #resume}. Requests are admitted and wait, running ones keep their
   * blocks; cancelling, and ending those whose clients don't read, go on. Idempotent.
   *
   * @return done once no step is under way
   */
  public CompletableFuture<@Nullable Void> pause() {
    paused = true;
    return betweenSteps(() -> null);
  }

  /** Goes on after {@link #pause}. Idempotent. */
  public void resume() {
    paused = false;
    wake();
  }

  public boolean paused() {
    return paused;
  }

  /**
   * Ends requests with what they have got so far; each of their choices gets its {@link
   * EngineEvent.Finished} (ABORT).
   *
   * @param ids says by {@link GenerationRequest#id} which
   * @return how many choices were ended
   */
  public CompletableFuture<Integer> abort(Predicate<String> ids) {
    return abortThose(s -> ids.test(s.generation().id()));
  }

  /**
   * Ends, as {@link #abort} does, every sequence whose first step older weights have computed: what
   * a trainer no longer wants once its policy has moved on so far. Those that only wait have not
   * begun and go on.
   *
   * @param version the oldest version that a sequence may have begun with
   * @return how many were ended
   */
  public CompletableFuture<Integer> abortStartedBefore(long version) {
    return abortThose(s -> s.started() && s.startVersion() < version);
  }

  /** Forgets the prefixes that nobody holds just now; what runs keeps its keys and values. */
  public CompletableFuture<@Nullable Void> resetPrefixCache() {
    return betweenSteps(
        () -> {
          blocks.forgetUnused();
          return null;
        });
  }

  private CompletableFuture<Integer> abortThose(Predicate<Sequence> meant) {
    return betweenSteps(
        () -> {
          List<Sequence> found = scheduler.all().stream().filter(meant).toList();
          found.forEach(s -> stepper.finish(s, FinishReason.ABORT, -1));
          return found.size();
        });
  }

  private <T extends @Nullable Object> void act(Callable<T> action, CompletableFuture<T> result) {
    try {
      T value = action.call();
      noticeWeights();
      result.complete(value);
    } catch (Throwable t) { // the caller's to handle; weights may have changed all the same
      noticeWeights();
      result.completeExceptionally(t);
    }
  }

  /** Prompt and output tokens of one sequence together: what is allowed and fits the KV pool. */
  public int maxModelLen() {
    return maxModelLen;
  }

  /** The latest reading; requests that the loop has not seen yet count as waiting. */
  public EngineStats stats() {
    return stats.latest();
  }

  /** Whether the loop runs and admits requests. */
  public boolean ready() {
    return !draining && !closed && !failed();
  }

  /**
   * Whether the loop has died of an error: nothing is computed any more, every request has failed,
   * and only another process can help. Not after {@link #close}.
   */
  public boolean failed() {
    return failure.isDone();
  }

  /** Done, with the error, once {@link #failed}. */
  public CompletableFuture<Throwable> failure() {
    return failure.copy();
  }

  /** Stops admissions; running and waiting requests go on. */
  public void drain() {
    draining = true;
  }

  /** Ends everything: every open generation gets its end; then closes the backend. Idempotent. */
  @Override
  public void close() {
    closed = true;
    wake();
    boolean interrupted = false;
    while (loop.isAlive()) {
      try {
        loop.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private void post(Runnable command) {
    inbox.add(command);
    wake();
  }

  private void wake() {
    LockSupport.unpark(loop);
  }

  private void run() {
    try {
      while (!closed) {
        drainInbox();
        noticeWeights();
        endStalled();
        List<Chunk> chunks = paused ? List.of() : scheduler.schedule();
        stats.publish(weightVersion);
        if (chunks.isEmpty()) {
          idle();
        } else {
          step(chunks);
        }
      }
    } catch (Throwable t) {
      failure.complete(t); // first: an error may be want of memory, and logging takes some
      log.error("the engine's loop has died", t);
    } finally {
      end();
    }
  }

  private void drainInbox() {
    for (Runnable command = inbox.poll(); command != null; command = inbox.poll()) {
      command.run();
    }
  }

  private void noticeWeights() {
    long version = backend.weightVersion();
    if (version != weightVersion) {
      boolean keysStay = backend.keyVersion() <= weightVersion;
      weightVersion = version;
      scheduler.weightsChanged(version, keysStay);
    }
  }

  private void idle() {
    boolean empty = scheduler.isEmpty();
    if (empty) {
      blocks.checkCounts();
    }
    if (inbox.isEmpty() && !closed) {
      if (empty) {
        LockSupport.park(this);
      } else {
        // all who are left don't read, or the engine is paused
        LockSupport.parkNanos(this, stallWatch.checkNanos());
      }
    }
  }

  private void step(List<Chunk> chunks) {
    stepper.step(chunks, weightVersion);
    stepper.faults().forEach((failed, why) -> failAll(Set.of(failed), why, false));
  }

  /** Ends requests whose clients have left a full queue unread for too long. */
  private void endStalled() {
    if (!stallWatch.isDue()) {
      return;
    }
    Set<QueuedGeneration> stalled = stallWatch.expired(scheduler.all());
    if (!stalled.isEmpty()) {
      failAll(stalled, stallWatch.message(), false);
    }
  }

  private void failAll(Set<QueuedGeneration> failed, String message, boolean closing) {
    for (Sequence s : scheduler.all()) {
      if (failed.contains(s.generation())) {
        stepper.drop(s, FinishReason.ABORT);
      }
    }
    for (QueuedGeneration generation : failed) {
      generation.post(new EngineEvent.Failed(message, closing));
    }
  }

  private void end() {
    closed = true;
    ended = true;
    drainInbox();
    Set<QueuedGeneration> open = new HashSet<>();
    scheduler.all().forEach(s -> open.add(s.generation()));
    EngineEvent.Failed why = stopped();
    failAll(open, why.message(), true);
    stats.publish(weightVersion);
    backend.close();
  }

  /** What clients ask through their generations. */
  private final class Clients implements QueuedGeneration.Owner {
    @Override
    public void onRoom() {
      wake();
    }

    @Override
    public void onEnd(QueuedGeneration generation, int choice, FinishReason reason) {
      post(() -> endChoices(generation, choice, reason));
    }

    /** Those that have ended are left alone. */
    private void endChoices(QueuedGeneration generation, int choice, FinishReason reason) {
      for (Sequence s : scheduler.all()) {
        if (s.generation() == generation && (choice < 0 || s.choice() == choice)) {
          stepper.finish(s, reason, -1);
        }
      }
    }
  }
}
