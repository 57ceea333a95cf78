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
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs what the scheduler has chosen: makes a batch of it, has the backend compute it and books the
 * results, sequence by sequence. Owned by the engine thread.
 */
final class Stepper {
  private static final Logger log = LoggerFactory.getLogger(Stepper.class);

  private final Backend backend;
  private final Scheduler scheduler;
  private final Set<Integer> eosTokenIds;
  private final int maxModelLen;
  private final StepBatch batch = new StepBatch();
  private final SamplingPlan plan = new SamplingPlan();
  private final Map<FinishReason, Long> finished = new EnumMap<>(FinishReason.class);
  private final Map<QueuedGeneration, String> faults = new LinkedHashMap<>();
  private int[] planEnds = new int[16];
  private long promptTokens;
  private long computedPromptTokens;
  private final Map<ServiceClass, Long> generationTokens = new EnumMap<>(ServiceClass.class);
  private long steps;
  private long nanSequences;

  Stepper(Backend backend, Scheduler scheduler, Set<Integer> eosTokenIds, int maxModelLen) {
    this.backend = backend;
    this.scheduler = scheduler;
    this.eosTokenIds = eosTokenIds;
    this.maxModelLen = maxModelLen;
  }

  /**
   * Computes the chunks. Where the whole of them fails, each is tried alone, so that a fault of one
   * sequence is that one's only; what was computed before is computed again, to the same bits.
   */
  void step(List<Chunk> chunks, long weightVersion) {
    faults.clear();
    stepTogether(chunks, weightVersion);
  }

  private void stepTogether(List<Chunk> chunks, long weightVersion) {
    List<TokenResult> results;
    try {
      results = compute(chunks, weightVersion);
    } catch (RuntimeException e) {
      if (chunks.size() == 1) {
        fault(chunks.getFirst().sequence(), e);
        return;
      }
      log.error("a step of {} sequences failed; each is tried alone", chunks.size(), e);
      for (Chunk chunk : chunks) {
        if (!faults.containsKey(chunk.sequence().generation())) {
          stepTogether(List.of(chunk), weightVersion);
        }
      }
      return;
    }
    steps++;
    for (int i = 0; i < chunks.size(); i++) {
      Sequence s = chunks.get(i).sequence();
      int from = i == 0 ? 0 : planEnds[i - 1];
      try {
        if (results.subList(from, planEnds[i]).stream().anyMatch(TokenResult::isBroken)) {
          broken(s, chunks.get(i).count());
        } else {
          apply(s, chunks.get(i).count(), results, from, weightVersion);
        }
      } catch (RuntimeException e) {
        fault(s, e);
      }
    }
  }

  private List<TokenResult> compute(List<Chunk> chunks, long weightVersion) {
    batch.clear();
    plan.clear();
    if (planEnds.length < chunks.size()) {
      planEnds = new int[2 * chunks.size()];
    }
    for (int i = 0; i < chunks.size(); i++) {
      Sequence s = chunks.get(i).sequence();
      announce(s, weightVersion);
      addToBatch(s, chunks.get(i).count());
      planEnds[i] = plan.size();
    }
    return backend.step(batch, plan);
  }

  private void fault(Sequence s, RuntimeException e) {
    log.error("a step of request {} failed", s.generation().id(), e);
    faults.put(s.generation(), "the model's step failed: " + e.getMessage());
  }

  /** Nothing of the chunk is booked, so none of its blocks is shared. */
  private void broken(Sequence s, int count) {
    nanSequences++;
    int last = s.numComputedTokens() + count;
    String message =
        "the model computed NaN at %s, of a prompt of %d: its weights are damaged, or these tokens drive them out of range; no other request is affected"
            .formatted(
                count == 1 ? "token " + last : "tokens " + (last - count + 1) + " to " + last,
                s.numPromptTokens());
    log.error("request {} failed: {}", s.generation().id(), message);
    faults.put(s.generation(), message);
  }

  private static void announce(Sequence s, long weightVersion) {
    if (!s.started()) {
      s.start(weightVersion);
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
        plan.add(
            SamplingRow.score(row, s.token(position + 1), s.params().reported().promptLogprobs()));
      }
      if (position + 1 == s.numTokens()) {
        plan.add(samplingRow(s, row));
      } else if (position + 1 == from + count && !asks(row)) {
        // the last row sees all keys and values so far: its logits tell whether any is NaN
        plan.add(SamplingRow.score(row, s.token(position + 1), 0));
      }
    }
  }

  private boolean asks(int row) {
    return plan.size() > 0 && plan.get(plan.size() - 1).row() == row;
  }

  private SamplingRow samplingRow(Sequence s, int row) {
    SamplingParams p = s.params();
    if (s.forcedToken() >= 0) {
      return SamplingRow.score(row, s.forcedToken(), p.reported().numLogprobs());
    }
    boolean tooEarly = s.numGeneratedTokens() < p.ending().minTokens();
    Set<Integer> forbidden = tooEarly ? endTokens(p) : null;
    FormWatch form = s.form();
    boolean bound = form != null && form.isBound();
    if (form != null && !bound && forbidden == null) {
      forbidden = eosTokenIds; // a thought alone does not have the form
    }
    SamplingParams.Draw draw = p.draw();
    return SamplingRow.sample(row)
        .temperature(draw.temperature())
        .topP(draw.topP())
        .topK(draw.topK())
        .minP(draw.minP())
        .logitBias(draw.logitBias().isEmpty() ? null : draw.logitBias())
        .seed(draw.seed())
        .choice(s.choice())
        .position(s.numTokens())
        .penalties(s.penalties())
        .forbidden(bound ? null : forbidden) // the mask is without them where it can be
        .allowed(form == null ? null : form.allowed(forbidden))
        .numLogprobs(p.reported().numLogprobs())
        .build();
  }

  private @Nullable Set<Integer> endTokens(SamplingParams p) {
    Set<Integer> end = new HashSet<>(p.ending().stopTokenIds());
    end.addAll(eosTokenIds);
    return end.isEmpty() ? null : end;
  }

  /** Books a sequence's part of a finished step, whose results begin at {@code from}. */
  private void apply(
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
      take(s, results.get(next), weightVersion);
    }
  }

  private void take(Sequence s, TokenResult result, long weightVersion) {
    SamplingParams p = s.params();
    if (p.ending().maxTokens() == 0) {
      finish(s, FinishReason.LENGTH, -1);
      return;
    }
    int token = result.tokenId();
    boolean forced = s.forcedToken() >= 0;
    FormWatch form = s.form();
    boolean repeats = s.append(token);
    if (form != null && form.isBroken()) {
      faults.put(s.generation(), "the model gave a token that the asked form does not allow");
      return;
    }
    generationTokens.merge(s.serviceClass(), 1L, Long::sum);
    s.generation().post(new EngineEvent.Token(s.choice(), result, weightVersion, forced));
    boolean eos = !p.ending().ignoreEos() && eosTokenIds.contains(token);
    if (eos || p.ending().stopTokenIds().contains(token)) {
      finish(s, FinishReason.STOP, token);
    } else if (s.numGeneratedTokens() >= p.ending().maxTokens() || s.numTokens() >= maxModelLen) {
      finish(s, FinishReason.LENGTH, -1);
    } else if (repeats && s.numGeneratedTokens() >= p.ending().minTokens()) {
      finish(s, FinishReason.REPETITION, -1);
    }
  }

  /** The requests that the last step failed for, and why; they are to be ended. */
  Map<QueuedGeneration, String> faults() {
    return faults;
  }

  /** Ends a choice and tells its client. */
  void finish(Sequence s, FinishReason reason, int stopTokenId) {
    drop(s, reason);
    s.generation().post(new EngineEvent.Finished(s.choice(), reason, stopTokenId, s.brokenKv()));
  }

  /** Ends a choice whose client is told otherwise. */
  void drop(Sequence s, FinishReason reason) {
    scheduler.remove(s);
    finished.merge(reason, 1L, Long::sum);
  }

  /** Choices that have ended, by how. */
  Map<FinishReason, Long> finished() {
    return finished;
  }

  long promptTokens() {
    return promptTokens;
  }

  long computedPromptTokens() {
    return computedPromptTokens;
  }

  /** Tokens that sequences of the class have said. */
  long generationTokens(ServiceClass of) {
    return generationTokens.getOrDefault(of, 0L);
  }

  long steps() {
    return steps;
  }

  /** Sequences that failed because the model computed NaN. */
  long nanSequences() {
    return nanSequences;
  }
}
