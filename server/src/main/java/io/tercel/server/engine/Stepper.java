package io.tercel.server.engine;

import io.tercel.kernels.ops.Backend;
import io.tercel.kernels.ops.SamplingRow;
import io.tercel.kernels.ops.TokenResult;
import io.tercel.server.engine.EngineEvent.FinishReason;
import io.tercel.server.engine.Scheduler.Chunk;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
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
  private final BlockManager blocks;
  private final Set<Integer> eosTokenIds;
  private final int maxModelLen;
  private final StepRows rows;
  private final DraftPlanner drafts;
  private final Map<FinishReason, Long> finished = new EnumMap<>(FinishReason.class);
  private final Map<QueuedGeneration, String> faults = new LinkedHashMap<>();
  private int[] planEnds = new int[16];
  private long promptTokens;
  private long computedPromptTokens;
  private final Map<ServiceClass, Long> generationTokens = new EnumMap<>(ServiceClass.class);
  private long steps;
  private long nanSequences;

  Stepper(
      Backend backend,
      Scheduler scheduler,
      BlockManager blocks,
      EngineConfig config,
      int maxModelLen) {
    this.backend = backend;
    this.scheduler = scheduler;
    this.blocks = blocks;
    this.eosTokenIds = config.model().eosTokenIds();
    this.maxModelLen = maxModelLen;
    this.rows = new StepRows(eosTokenIds);
    this.drafts = new DraftPlanner(config, blocks, rows, maxModelLen);
  }

  /**
   * Computes the chunks. Where the whole of them fails, each is tried alone, so that a fault of one
   * sequence is that one's only; what was computed before is computed again, to the same bits.
   */
  void step(List<Chunk> chunks, long weightVersion) {
    faults.clear();
    long start = System.nanoTime();
    if (stepTogether(drafts.plan(chunks), weightVersion)) {
      drafts.stepTook(rows.batch().numTokens(), System.nanoTime() - start);
    }
  }

  /** Whether it went as planned. */
  private boolean stepTogether(List<Chunk> chunks, long weightVersion) {
    List<TokenResult> results;
    try {
      results = compute(chunks, weightVersion);
    } catch (RuntimeException e) {
      Chunk first = chunks.getFirst();
      if (chunks.size() == 1 && first.draft().length == 0) {
        fault(first.sequence(), e);
        return false;
      }
      log.error("a step of {} sequences failed; each is tried alone", chunks.size(), e);
      for (Chunk chunk : chunks) {
        if (!faults.containsKey(chunk.sequence().generation())) {
          // without its draft: that it fails must be of what it really says
          stepTogether(List.of(new Chunk(chunk.sequence(), chunk.count())), weightVersion);
        }
      }
      return false;
    }
    steps++;
    for (int i = 0; i < chunks.size(); i++) {
      try {
        book(chunks.get(i), results, i == 0 ? 0 : planEnds[i - 1], planEnds[i], weightVersion);
      } catch (RuntimeException e) {
        fault(chunks.get(i).sequence(), e);
      }
    }
    return true;
  }

  /** Books a chunk's part of a finished step, whose results lie from {@code from} to {@code to}. */
  private void book(Chunk chunk, List<TokenResult> results, int from, int to, long weightVersion) {
    Sequence s = chunk.sequence();
    int drafted = to - chunk.draft().length;
    if (results.subList(from, drafted).stream().anyMatch(TokenResult::isBroken)) {
      broken(s, chunk.count());
    } else if (apply(s, chunk.count(), results, from, weightVersion) && drafted < to) {
      verify(chunk, results, drafted, weightVersion);
    }
  }

  /**
   * Goes on as long as what was drafted is what was said, and the next row was made for the
   * sequence as it has become: a thought that is cut short goes on by force, which no draft
   * foresees.
   */
  private void verify(Chunk chunk, List<TokenResult> results, int from, long weightVersion) {
    Sequence s = chunk.sequence();
    int[] draft = chunk.draft();
    int accepted = 0;
    boolean goesOn = true;
    while (goesOn
        && accepted < draft.length
        && s.token(s.numTokens() - 1) == draft[accepted]
        && rows.plan().get(from + accepted).target() == s.forcedToken()
        && !s.generation().full(s.choice())) {
      TokenResult result = results.get(from + accepted);
      if (result.isBroken()) {
        broken(s, 1);
        break;
      }
      accepted++;
      scheduler.computed(s, 1);
      goesOn = take(s, result, rows.plan().get(from + accepted - 1), weightVersion);
    }
    drafts.accepted(accepted);
    if (goesOn) {
      blocks.trim(s);
    }
  }

  private List<TokenResult> compute(List<Chunk> chunks, long weightVersion) {
    rows.clear();
    if (planEnds.length < chunks.size()) {
      planEnds = new int[2 * chunks.size()];
    }
    for (int i = 0; i < chunks.size(); i++) {
      Sequence s = chunks.get(i).sequence();
      announce(s, weightVersion);
      rows.add(chunks.get(i));
      planEnds[i] = rows.plan().size();
    }
    return backend.step(rows.batch(), rows.plan());
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

  /**
   * Books all of a chunk but its draft.
   *
   * @return whether it has got a token and goes on
   */
  private boolean apply(
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
    }
    return samples && take(s, results.get(next), rows.plan().get(next), weightVersion);
  }

  /**
   * Takes the next token.
   *
   * @param row that it was the answer to
   * @return whether the sequence goes on
   */
  private boolean take(Sequence s, TokenResult result, SamplingRow row, long weightVersion) {
    SamplingParams p = s.params();
    if (p.ending().maxTokens() == 0) {
      finish(s, FinishReason.LENGTH, -1);
      return false;
    }
    int token = result.tokenId();
    boolean forced = row.isForced();
    FormWatch form = s.form();
    boolean repeats = s.append(token);
    if (form != null && form.isBroken()) {
      faults.put(s.generation(), "the model gave a token that the asked form does not allow");
      return false;
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
    return s.state() != Sequence.State.FINISHED;
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
    drafts.end(s);
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

  /** Tokens that were drafted, and what became of them. */
  EngineStats.Drafts drafts() {
    return drafts.stats();
  }

  /** Sequences that failed because the model computed NaN. */
  long nanSequences() {
    return nanSequences;
  }
}
