package io.tercel.server.engine;

import io.tercel.kernels.ops.SamplingPlan;
import io.tercel.kernels.ops.SamplingRow;
import io.tercel.kernels.ops.StepBatch;
import io.tercel.kernels.ops.TokenResult;
import io.tercel.server.engine.Scheduler.Chunk;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The rows of one step, chunk by chunk, and what is wanted of each: prompt tokens' scores, and the
 * next token behind the last row of a chunk that has caught up, and behind each drafted one. Reused
 * from step to step.
 */
final class StepRows {
  private final Set<Integer> eosTokenIds;
  private final StepBatch batch = new StepBatch();
  private final SamplingPlan plan = new SamplingPlan();

  StepRows(Set<Integer> eosTokenIds) {
    this.eosTokenIds = eosTokenIds;
  }

  void clear() {
    batch.clear();
    plan.clear();
  }

  StepBatch batch() {
    return batch;
  }

  SamplingPlan plan() {
    return plan;
  }

  /** Adds a chunk's rows, and those of its draft behind them. */
  void add(Chunk chunk) {
    Sequence s = chunk.sequence();
    batch.beginSequence(s.blockTable());
    List<TokenResult> scores = s.promptScores();
    int from = s.numComputedTokens();
    int end = from + chunk.count();
    for (int position = from; position < end; position++) {
      int row = batch.addToken(s.token(position), position);
      // after a preemption the prompt is computed again, but not scored again
      if (scores != null && position >= scores.size() && position + 1 < s.numPromptTokens()) {
        plan.add(
            SamplingRow.score(row, s.token(position + 1), s.params().reported().promptLogprobs()));
      }
      if (position + 1 == s.numTokens()) {
        addSampled(chunk, row);
      } else if (position + 1 == end && !asks(row)) {
        // the last row sees all keys and values so far: its logits tell whether any is NaN
        plan.add(SamplingRow.score(row, s.token(position + 1), 0));
      }
    }
  }

  private boolean asks(int row) {
    return plan.size() > 0 && plan.get(plan.size() - 1).row() == row;
  }

  private void addSampled(Chunk chunk, int row) {
    Lookahead ahead = new Lookahead(chunk.sequence(), chunk.draft());
    plan.add(samplingRow(ahead, row));
    for (int drafted : chunk.draft()) {
      int next = batch.addToken(drafted, ahead.numTokens());
      ahead.advance();
      plan.add(samplingRow(ahead, next));
    }
  }

  private SamplingRow samplingRow(Lookahead s, int row) {
    SamplingParams p = s.sequence().params();
    if (s.forcedToken() >= 0) {
      return SamplingRow.force(
          row, s.forcedToken(), p.reported().numLogprobs(), p.reported().processed());
    }
    Set<Integer> forbidden = forbidden(s);
    FormWatch form = s.form();
    boolean bound = form != null && form.isBound();
    SamplingParams.Draw draw = p.draw();
    return SamplingRow.sample(row)
        .temperature(draw.temperature())
        .topP(draw.topP())
        .topK(draw.topK())
        .minP(draw.minP())
        .logitBias(draw.logitBias().isEmpty() ? null : draw.logitBias())
        .seed(draw.seed())
        .choice(s.sequence().choice())
        .position(s.numTokens())
        .penalties(s.penalties())
        .forbidden(bound ? null : forbidden) // the mask is without them where it can be
        .allowed(form == null ? null : form.allowed(forbidden))
        .numLogprobs(p.reported().numLogprobs())
        .processed(p.reported().processed())
        .build();
  }

  /** Ids that should not be drawn next; null when there are none. */
  @Nullable Set<Integer> forbidden(Lookahead s) {
    SamplingParams p = s.sequence().params();
    if (s.numGeneratedTokens() < p.ending().minTokens()) {
      Set<Integer> end = new HashSet<>(p.ending().stopTokenIds());
      end.addAll(eosTokenIds);
      return end.isEmpty() ? null : end;
    }
    FormWatch form = s.form();
    // a thought alone does not have the form
    return form != null && !form.isBound() ? eosTokenIds : null;
  }
}
