package io.tercel.server.engine;

import io.tercel.kernels.ops.Penalties;
import io.tercel.kernels.ops.TokenCounts;
import io.tercel.kernels.ops.TokenResult;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One choice of one request: its tokens, how many of them are computed, and its blocks. Owned by
 * the engine thread.
 *
 * <p>There is no prefill or decode phase: {@code numComputedTokens} catches up with {@code
 * numTokens}, and whenever it does, a token is sampled. {@code 0 <= numComputedTokens <= numTokens
 * <= maxModelLen}.
 */
final class Sequence {
  /** Where a sequence is in its life. */
  enum State {
    WAITING,
    RUNNING,
    FINISHED
  }

  private final QueuedGeneration generation;
  private final SamplingParams params;
  private final int choice;
  private final int numPromptTokens;
  private final long arrival;
  private int[] tokens;
  private int numTokens;
  private int numComputedTokens;
  private int[] blocks = new int[8];
  private int numBlocks;
  private State state = State.WAITING;
  private final @Nullable Penalties penalties;
  private final @Nullable List<TokenResult> promptScores;

  /**
   * @param arrival rises from request to request: the younger has the larger one
   */
  Sequence(QueuedGeneration generation, GenerationRequest request, int choice, long arrival) {
    this.generation = generation;
    this.params = request.params();
    this.choice = choice;
    this.arrival = arrival;
    this.numPromptTokens = request.promptTokens().length;
    this.tokens = Arrays.copyOf(request.promptTokens(), numPromptTokens + 64);
    this.numTokens = numPromptTokens;
    this.penalties = penalties(request);
    boolean scored = params.promptLogprobs() >= 0 && choice == 0;
    this.promptScores = scored ? new ArrayList<>(numPromptTokens) : null;
  }

  private static @Nullable Penalties penalties(GenerationRequest request) {
    SamplingParams p = request.params();
    if (p.presencePenalty() == 0 && p.frequencyPenalty() == 0 && p.repetitionPenalty() == 1) {
      return null;
    }
    TokenCounts prompt = new TokenCounts();
    for (int id : request.promptTokens()) {
      prompt.add(id);
    }
    return new Penalties(
        p.presencePenalty(),
        p.frequencyPenalty(),
        p.repetitionPenalty(),
        new TokenCounts(),
        prompt);
  }

  QueuedGeneration generation() {
    return generation;
  }

  SamplingParams params() {
    return params;
  }

  int choice() {
    return choice;
  }

  long arrival() {
    return arrival;
  }

  State state() {
    return state;
  }

  void state(State next) {
    state = next;
  }

  int numPromptTokens() {
    return numPromptTokens;
  }

  int numTokens() {
    return numTokens;
  }

  int numGeneratedTokens() {
    return numTokens - numPromptTokens;
  }

  int numComputedTokens() {
    return numComputedTokens;
  }

  /** Tokens still to compute before the next one can be sampled; at least 1 while it lives. */
  int numNewTokens() {
    return numTokens - numComputedTokens;
  }

  int token(int i) {
    return tokens[i];
  }

  @Nullable Penalties penalties() {
    return penalties;
  }

  /** Scores of prompt tokens 1, 2, ... so far; null when they were not asked for. */
  @Nullable List<TokenResult> promptScores() {
    return promptScores;
  }

  void computed(int count) {
    numComputedTokens += count;
    if (numComputedTokens > numTokens) {
      throw new IllegalStateException(
          "%d tokens computed of %d".formatted(numComputedTokens, numTokens));
    }
  }

  void append(int token) {
    if (numTokens == tokens.length) {
      tokens = Arrays.copyOf(tokens, numTokens + Math.max(64, numTokens / 2));
    }
    tokens[numTokens++] = token;
    if (penalties != null) {
      penalties.generated().add(token);
    }
  }

  /** Forgets what was computed: its blocks are gone, all tokens so far are computed again. */
  void recompute() {
    numComputedTokens = 0;
    state = State.WAITING;
  }

  int numBlocks() {
    return numBlocks;
  }

  int block(int i) {
    return blocks[i];
  }

  /** The block numbers, valid up to {@link #numBlocks}; not a copy. */
  int[] blockTable() {
    return blocks;
  }

  void addBlock(int block) {
    if (numBlocks == blocks.length) {
      blocks = Arrays.copyOf(blocks, 2 * numBlocks);
    }
    blocks[numBlocks++] = block;
  }

  void clearBlocks() {
    numBlocks = 0;
  }
}
