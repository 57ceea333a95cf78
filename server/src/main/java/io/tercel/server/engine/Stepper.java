package io.tercel.server.engine;

import io.tercel.kernels.ops.Backend;
import io.tercel.kernels.ops.SamplingPlan;
import io.tercel.kernels.ops.SamplingRow;
import io.tercel.kernels.ops.StepBatch;
import io.tercel.kernels.ops.TokenResult;
import io.tercel.server.engine.EngineEvent.FinishReason;
import io.tercel.server.engine.Scheduler.Chunk;
import java.util.EnumMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Runs what the scheduler has chosen: makes a batch of it, has the backend compute it and books the
 * results, sequence by sequence. Owned by the engine thread.
 */
final class Stepper {
  private final Backend backend;
  private final Scheduler scheduler;
  private final Set<Integer> eosTokenIds;
  private final int maxModelLen;
  private final StepBatch batch = new StepBatch();
  private final SamplingPlan plan = new SamplingPlan();
  private final Map<FinishReason, Long> finished = new EnumMap<>(FinishReason.class);
  private final Set<QueuedGeneration> broken = new HashSet<>();
  private long promptTokens;
  private long computedPromptTokens;
  private long generationTokens;
  private long steps;

  Stepper(Backend backend, Scheduler scheduler, Set<Integer> eosTokenIds, int maxModelLen) {
    this.backend = backend;
    this.scheduler = scheduler;
    this.eosTokenIds = eosTokenIds;
    this.maxModelLen = maxModelLen;
  }

  /**
   * Computes the chunks.
   *
   * @throws RuntimeException the backend's; nothing is booked then
   */
  void step(List<Chunk> chunks, long weightVersion) {
    batch.clear();
    plan.clear();
    broken.clear();
    for (Chunk chunk : chunks) {
      announce(chunk.sequence());
      addToBatch(chunk.sequence(), chunk.count());
    }
    List<TokenResult> results = backend.step(batch, plan);
    steps++;
    int next = 0;
    for (Chunk chunk : chunks) {
      next = apply(chunk.sequence(), chunk.count(), results, next, weightVersion);
    }
  }

  private static void announce(Sequence s) {
    if (!s.started()) {
      s.start();
      long queued = System.nanoTime() - s.submittedNanos();
      s.generation().post(new EngineEvent.Started(s.choice(), s.numComputedTokens(), queued));
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
    if (s.forcedToken() >= 0) {
      return SamplingRow.score(row, s.forcedToken(), p.numLogprobs());
    }
    boolean tooEarly = s.numGeneratedTokens() < p.minTokens();
    Set<Integer> forbidden = tooEarly ? endTokens(p) : null;
    ConstraintWatch constraint = s.constraint();
    boolean bound = constraint != null && constraint.isBound();
    if (constraint != null && !bound && forbidden == null) {
      forbidden = eosTokenIds; // a thought alone does not have the form
    }
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
        bound ? null : forbidden, // the mask is without them where it can be
        constraint == null ? null : constraint.allowed(forbidden),
        p.numLogprobs());
  }

  private @Nullable Set<Integer> endTokens(SamplingParams p) {
    Set<Integer> end = new HashSet<>(p.stopTokenIds());
    end.addAll(eosTokenIds);
    return end.isEmpty() ? null : end;
  }

  /** Books a sequence's part of a finished step; returns the index of the next unread result. */
  private int apply(
      Sequence s, int count, List<TokenResult> results, int from, long weightVersion) {
    int next = from;
    int computed = s.numComputedTokens();
    computedPromptTokens += Math.max(0, Math.min(computed + count, s.numPromptTokens()) - computed);
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
        s.generation().post(new EngineEvent.PromptScored(List.copyOf(scores)));
      }
    }
    boolean samples = computed + count == s.numTokens();
    scheduler.computed(s, count);
    if (samples) {
      if (s.numGeneratedTokens() == 0) {
        promptTokens += s.numPromptTokens();
      }
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
    boolean forced = s.forcedToken() >= 0;
    ConstraintWatch constraint = s.constraint();
    boolean repeats = s.append(token);
    if (constraint != null && constraint.isBroken()) {
      broken.add(s.generation());
      return;
    }
    generationTokens++;
    s.generation().post(new EngineEvent.Token(s.choice(), result, weightVersion, forced));
    boolean eos = !p.ignoreEos() && eosTokenIds.contains(token);
    if (eos || p.stopTokenIds().contains(token)) {
      finish(s, FinishReason.STOP, token);
    } else if (s.numGeneratedTokens() >= p.maxTokens() || s.numTokens() >= maxModelLen) {
      finish(s, FinishReason.LENGTH, -1);
    } else if (repeats && s.numGeneratedTokens() >= p.minTokens()) {
      finish(s, FinishReason.REPETITION, -1);
    }
  }

  /** The requests of the last step whose answers have left their forms; they are to be failed. */
  Set<QueuedGeneration> broken() {
    return broken;
  }

  /** Ends a choice and tells its client. */
  void finish(Sequence s, FinishReason reason, int stopTokenId) {
    drop(s, reason);
    s.generation().post(new EngineEvent.Finished(s.choice(), reason, stopTokenId));
  }

  /** Ends a choice whose client is told otherwise. */
  void drop(Sequence s, FinishReason reason) {
    scheduler.remove(s);
    finished.merge(reason, 1L, Long::sum);
  }

  long finished(FinishReason reason) {
    return finished.getOrDefault(reason, 0L);
  }

  long promptTokens() {
    return promptTokens;
  }

  long computedPromptTokens() {
    return computedPromptTokens;
  }

  long generationTokens() {
    return generationTokens;
  }

  long steps() {
    return steps;
  }
}
