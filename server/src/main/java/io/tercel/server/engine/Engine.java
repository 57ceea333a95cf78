package io.tercel.server.engine;

import io.tercel.kernels.ops.Backend;
import io.tercel.kernels.ops.SamplingPlan;
import io.tercel.kernels.ops.SamplingRow;
import io.tercel.kernels.ops.StepBatch;
import io.tercel.kernels.ops.TokenResult;
import io.tercel.server.engine.EngineEvent.FinishReason;
import io.tercel.server.engine.Scheduler.Chunk;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Takes requests from any thread and runs them in batches on one thread of its own: inbox,
 * schedule, step, events, and again. Sequences join and leave between steps; one call of the
 * backend a step holds them all.
 *
 * <p>Threads: {@link #submit}, {@link Generation} and the readings may be used from anywhere;
 * everything else (scheduler, blocks, sequences, backend) belongs to the loop's thread, which takes
 * no lock and never waits for a client.
 */
public final class Engine implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(Engine.class);

  private final Backend backend;
  private final EngineConfig config;
  private final RequestCheck requestCheck;
  private final Scheduler scheduler;
  private final BlockManager blocks;
  private final StepBatch batch = new StepBatch();
  private final SamplingPlan plan = new SamplingPlan();
  private final ConcurrentLinkedQueue<Runnable> inbox = new ConcurrentLinkedQueue<>();
  private final AtomicInteger submitted = new AtomicInteger();
  private final AtomicLong arrivals = new AtomicLong();
  private final Thread loop;

  private volatile boolean draining;
  private volatile boolean closed;
  private volatile boolean dead;
  private volatile EngineStats stats;

  private int admitted;
  private long promptTokens;
  private long generationTokens;
  private long steps;
  private final Map<FinishReason, Long> finished = new EnumMap<>(FinishReason.class);

  /**
   * Starts the loop.
   *
   * @param backend closed with the engine
   */
  public Engine(Backend backend, EngineConfig config) {
    this.backend = backend;
    this.config = config;
    this.blocks = new BlockManager(backend.numBlocks(), backend.blockSize());
    this.scheduler = new Scheduler(blocks, config.maxNumSeqs(), config.maxNumBatchedTokens());
    long poolTokens = (long) backend.numBlocks() * backend.blockSize();
    this.requestCheck = new RequestCheck(config, (int) Math.min(poolTokens, Integer.MAX_VALUE));
    this.stats = reading();
    this.loop = Thread.ofPlatform().name("tercel-engine").start(this::run);
  }

  /**
   * Queues a request.
   *
   * @throws InvalidRequestException if it can never run: a parameter out of range, a prompt that
   *     doesn't fit
   * @throws OverloadedException if no more may wait, or the engine is closing or dead
   */
  public Generation submit(GenerationRequest request) {
    requestCheck.check(request);
    if (draining || closed || dead) {
      throw new OverloadedException("the server is shutting down", true);
    }
    int choices = request.params().n();
    if (stats.waiting() + submitted.get() + choices > config.maxWaiting()) {
      throw new OverloadedException("too many requests are waiting; try again later", false);
    }
    QueuedGeneration generation =
        new QueuedGeneration(
            request.id(),
            choices,
            this::wake,
            (g, choice) -> post(() -> cancel(g, choice)),
            g -> post(() -> cancel(g, -1)));
    long arrival = arrivals.getAndIncrement();
    submitted.addAndGet(choices);
    post(
        () -> {
          admitted += choices;
          for (int choice = 0; choice < choices; choice++) {
            scheduler.add(new Sequence(generation, request, choice, arrival));
          }
        });
    if (dead || closed) {
      generation.post(
          new EngineEvent.Failed("the engine has stopped")); // it may not see the inbox any more
    }
    return generation;
  }

  /** Prompt and output tokens of one sequence together. */
  public int maxModelLen() {
    return config.maxModelLen();
  }

  /** The latest reading; requests that the loop has not seen yet count as waiting. */
  public EngineStats stats() {
    return stats.withMoreWaiting(submitted.get());
  }

  /** Whether the loop runs and admits requests. */
  public boolean ready() {
    return !draining && !closed && !dead;
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
        List<Chunk> chunks = scheduler.schedule();
        publish();
        if (chunks.isEmpty()) {
          idle();
        } else {
          step(chunks);
        }
      }
    } catch (Throwable t) {
      log.error("the engine loop died", t);
      dead = true;
    } finally {
      end();
    }
  }

  private void drainInbox() {
    for (Runnable command = inbox.poll(); command != null; command = inbox.poll()) {
      command.run();
    }
  }

  private void idle() {
    if (scheduler.isEmpty()) {
      scheduler.checkInvariants();
    }
    if (inbox.isEmpty() && !closed) {
      LockSupport.park(this);
    }
  }

  private void step(List<Chunk> chunks) {
    batch.clear();
    plan.clear();
    for (Chunk chunk : chunks) {
      addToBatch(chunk.sequence(), chunk.count());
    }
    List<TokenResult> results;
    long weightVersion = backend.weightVersion();
    try {
      results = backend.step(batch, plan);
    } catch (RuntimeException e) {
      log.error("a step of {} sequences failed", chunks.size(), e);
      failAll(chunks, "the model's step failed: " + e.getMessage());
      return;
    }
    steps++;
    int next = 0;
    for (Chunk chunk : chunks) {
      next = apply(chunk.sequence(), chunk.count(), results, next, weightVersion);
    }
  }

  private void addToBatch(Sequence s, int count) {
    batch.beginSequence(s.blockTable());
    List<TokenResult> scores = s.promptScores();
    int from = s.numComputedTokens();
    for (int position = from; position < from + count; position++) {
      int row = batch.addToken(s.token(position), position);
      // after a preemption the prompt is computed again, but not scored again
      if (scores != null && position >= scores.size() && position + 1 < s.numPromptTokens()) {
        plan.add(SamplingRow.score(row, s.token(position + 1), s.params().promptLogprobs()));
      }
      if (position + 1 == s.numTokens()) {
        plan.add(samplingRow(s, row));
      }
    }
  }

  private SamplingRow samplingRow(Sequence s, int row) {
    SamplingParams p = s.params();
    boolean tooEarly = s.numGeneratedTokens() < p.minTokens();
    return new SamplingRow(
        row,
        -1,
        p.temperature(),
        p.topP(),
        p.topK(),
        p.minP(),
        p.seed(),
        s.choice(),
        s.numTokens(),
        s.penalties(),
        p.logitBias().isEmpty() ? null : p.logitBias(),
        tooEarly ? endTokens(p) : null,
        p.numLogprobs());
  }

  private @Nullable Set<Integer> endTokens(SamplingParams p) {
    Set<Integer> end = new HashSet<>(p.stopTokenIds());
    end.addAll(config.eosTokenIds());
    return end.isEmpty() ? null : end;
  }

  /** Books a sequence's part of a finished step; returns the index of the next unread result. */
  private int apply(
      Sequence s, int count, List<TokenResult> results, int from, long weightVersion) {
    int next = from;
    int computed = s.numComputedTokens();
    promptTokens += Math.max(0, Math.min(computed + count, s.numPromptTokens()) - computed);
    List<TokenResult> scores = s.promptScores();
    if (scores != null) {
      int before = scores.size();
      int end = Math.min(computed + count, s.numPromptTokens() - 1);
      for (int position = Math.max(computed, before); position < end; position++) {
        scores.add(results.get(next++));
      }
      boolean complete = scores.size() == s.numPromptTokens() - 1;
      boolean firstTime = computed + count == s.numTokens() && s.numGeneratedTokens() == 0;
      if (complete && firstTime) {
        s.generation().post(new EngineEvent.PromptScored(List.copyOf(scores), 0));
      }
    }
    boolean samples = computed + count == s.numTokens();
    s.computed(count);
    if (samples) {
      take(s, results.get(next++), weightVersion);
    }
    return next;
  }

  private void take(Sequence s, TokenResult result, long weightVersion) {
    SamplingParams p = s.params();
    if (p.maxTokens() == 0) {
      finish(s, FinishReason.LENGTH, -1);
      return;
    }
    int token = result.tokenId();
    s.append(token);
    generationTokens++;
    s.generation().post(new EngineEvent.Token(s.choice(), result, weightVersion));
    boolean eos = !p.ignoreEos() && config.eosTokenIds().contains(token);
    if (eos || p.stopTokenIds().contains(token)) {
      finish(s, FinishReason.STOP, token);
    } else if (s.numGeneratedTokens() >= p.maxTokens() || s.numTokens() >= config.maxModelLen()) {
      finish(s, FinishReason.LENGTH, -1);
    }
  }

  private void finish(Sequence s, FinishReason reason, int stopTokenId) {
    scheduler.remove(s);
    finished.merge(reason, 1L, Long::sum);
    s.generation().post(new EngineEvent.Finished(s.choice(), reason, stopTokenId));
  }

  /** Cancels one choice, or all when it is negative; those that have ended are left alone. */
  private void cancel(QueuedGeneration generation, int choice) {
    for (Sequence s : scheduler.all()) {
      if (s.generation() == generation && (choice < 0 || s.choice() == choice)) {
        finish(s, FinishReason.ABORT, -1);
      }
    }
  }

  private void failAll(List<Chunk> chunks, String message) {
    Set<QueuedGeneration> failed = new HashSet<>();
    for (Chunk chunk : chunks) {
      failed.add(chunk.sequence().generation());
    }
    for (Sequence s : scheduler.all()) {
      if (failed.contains(s.generation())) {
        scheduler.remove(s);
        finished.merge(FinishReason.ABORT, 1L, Long::sum);
      }
    }
    for (QueuedGeneration generation : failed) {
      generation.post(new EngineEvent.Failed(message));
    }
  }

  private void end() {
    closed = true;
    drainInbox();
    Set<QueuedGeneration> open = new HashSet<>();
    for (Sequence s : new ArrayList<>(scheduler.all())) {
      scheduler.remove(s);
      open.add(s.generation());
    }
    for (QueuedGeneration generation : open) {
      generation.post(new EngineEvent.Failed("the server was shut down"));
    }
    publish();
    backend.close();
  }

  /** In this order, so that a request is at no time in neither number. */
  private void publish() {
    stats = reading();
    submitted.addAndGet(-admitted);
    admitted = 0;
  }

  private EngineStats reading() {
    return new EngineStats(
        scheduler.numRunning(),
        scheduler.numWaiting(),
        blocks.numFree(),
        blocks.numBlocks(),
        promptTokens,
        generationTokens,
        scheduler.preemptions(),
        steps,
        finished.getOrDefault(FinishReason.STOP, 0L),
        finished.getOrDefault(FinishReason.LENGTH, 0L),
        finished.getOrDefault(FinishReason.ABORT, 0L));
  }
}
