package io.tercel.server.engine;

import io.tercel.kernels.ops.Penalties;
import io.tercel.kernels.ops.TokenCounts;
import io.tercel.kernels.ops.TokenResult;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
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

  /** Who comes first within a class: lower priority, then earlier request, then lower choice. */
  static final Comparator<Sequence> BY_RANK =
      Comparator.comparingInt(Sequence::priority)
          .thenComparingLong(Sequence::arrival)
          .thenComparingInt(Sequence::choice);

  private final QueuedGeneration generation;
  private final SamplingParams params;
  private final GenerationRequest request;
  private final long submittedNanos = System.nanoTime();
  private final int choice;
  private final int numPromptTokens;
  private final long arrival;
  private int[] tokens;
  private int numTokens;
  private int numComputedTokens;
  private int[] blocks = new int[8];
  private int numBlocks;
  private int numChained;
  private long chainId = PrefixCache.ROOT;
  private final KeptKv keptKv = new KeptKv();
  private boolean started;
  private long startVersion;
  private boolean stalled;
  private int numScheduled;
  private @Nullable SharedPrompt sharedPrompt;
  private State state = State.WAITING;
  private final ThoughtWatch watch;
  private final @Nullable FormWatch form;
  private List<Integer> forced = List.of();
  private int numForced;
  private final @Nullable Penalties penalties;
  private final @Nullable List<TokenResult> promptScores;

  /**
   * @param promptCounts how often each id is in the prompt, for penalties; shared by the choices
   * @param arrival rises from request to request: the younger has the larger one
   */
  private Sequence(
      QueuedGeneration generation,
      GenerationRequest request,
      int choice,
      @Nullable TokenCounts promptCounts,
      long arrival) {
    this.generation = generation;
    this.request = request;
    this.params = request.params();
    this.choice = choice;
    this.arrival = arrival;
    this.numPromptTokens = request.promptTokens().length;
    this.tokens = Arrays.copyOf(request.promptTokens(), numPromptTokens + 64);
    this.numTokens = numPromptTokens;
    this.penalties = promptCounts == null ? null : penalties(params.penalties(), promptCounts);
    boolean scored = params.reported().promptLogprobs() >= 0 && choice == 0;
    this.promptScores = scored ? new ArrayList<>(numPromptTokens) : null;
    this.watch = new ThoughtWatch(params);
    AnswerForm its = params.form();
    this.form = its == null ? null : new FormWatch(its, params.thinking());
    follow(watch.start());
  }

  private static Penalties penalties(SamplingParams.PenaltyWeights weights, TokenCounts prompt) {
    return new Penalties(
        weights.presence(), weights.frequency(), weights.repetition(), new TokenCounts(), prompt);
  }

  /**
   * All choices of a request. Made where the request is submitted, so that copying a long prompt n
   * times and counting its ids is no work of the engine's thread.
   */
  static List<Sequence> choices(
      QueuedGeneration generation, GenerationRequest request, long arrival) {
    TokenCounts promptCounts = null;
    if (!request.params().penalties().none()) {
      promptCounts = new TokenCounts();
      for (int id : request.promptTokens()) {
        promptCounts.add(id);
      }
    }
    List<Sequence> choices = new ArrayList<>();
    for (int choice = 0; choice < request.params().n(); choice++) {
      choices.add(new Sequence(generation, request, choice, promptCounts, arrival));
    }
    return choices;
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

  ServiceClass serviceClass() {
    return request.serviceClass();
  }

  int priority() {
    return request.priority();
  }

  StaleKv staleKv() {
    return request.staleKv();
  }

  @Nullable String group() {
    return request.group();
  }

  long arrival() {
    return arrival;
  }

  long submittedNanos() {
    return submittedNanos;
  }

  /**
   * Whether its client must read before it may compute, see {@link QueuedGeneration}; as it was
   * when {@link #lookAtClient} looked: clients read at any time, and one schedule must not take a
   * sequence once for stalled and once not.
   */
  boolean stalled() {
    return stalled;
  }

  /** Sees whether its client has fallen behind. */
  void lookAtClient() {
    stalled = state == State.RUNNING ? generation.full(choice) : !generation.roomy(choice);
  }

  /** Who begins with the same prompt; null for nobody, or if nothing is shared. */
  @Nullable SharedPrompt sharedPrompt() {
    return sharedPrompt;
  }

  void sharedPrompt(SharedPrompt shared) {
    sharedPrompt = shared;
  }

  /** Whether another is about to compute the prompt that this one can share then. */
  boolean awaitsPrompt() {
    return sharedPrompt != null && !hasComputedPrompt() && sharedPrompt.mustWait(this);
  }

  boolean hasComputedPrompt() {
    return numComputedTokens >= numPromptTokens;
  }

  /** Whether it has been in a step. */
  boolean started() {
    return started;
  }

  /** It is in a step for the first time. */
  void start(long weightVersion) {
    started = true;
    startVersion = weightVersion;
  }

  /** The weights of its first step; no meaning before. */
  long startVersion() {
    return startVersion;
  }

  /** Tokens that the step which is being made has of it. */
  int numScheduled() {
    return numScheduled;
  }

  void schedule(int count) {
    numScheduled += count;
  }

  void clearScheduled() {
    numScheduled = 0;
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

  /** All tokens, valid up to {@link #numTokens}; not a copy. */
  int[] tokens() {
    return tokens;
  }

  @Nullable Penalties penalties() {
    return penalties;
  }

  /** Scores of prompt tokens 1, 2, ... so far; null when they were not asked for. */
  @Nullable List<TokenResult> promptScores() {
    return promptScores;
  }

  /** Whether prompt tokens are still to be scored. */
  boolean awaitsPromptScores() {
    return promptScores != null && promptScores.size() < numPromptTokens - 1;
  }

  void computed(int count) {
    numComputedTokens += count;
    keptKv.computed(numComputedTokens);
    if (numComputedTokens > numTokens) {
      throw new IllegalStateException(
          "%d tokens computed of %d".formatted(numComputedTokens, numTokens));
    }
  }

  /**
   * Takes the next token.
   *
   * @return whether the choice repeats itself and should end
   */
  boolean append(int token) {
    if (numTokens == tokens.length) {
      tokens = Arrays.copyOf(tokens, numTokens + Math.max(64, numTokens / 2));
    }
    tokens[numTokens++] = token;
    if (penalties != null) {
      penalties.generated().add(token);
    }
    boolean wasForced = forcedToken() >= 0;
    boolean bound = form != null && form.isBound();
    if (form != null) {
      form.accept(token, wasForced);
    }
    if (wasForced) {
      numForced++;
      return false;
    }
    // half a document helps nobody: what has a form may repeat itself up to its limit
    return follow(watch.accept(token)) && !bound;
  }

  /** The form that the answer must have, followed so far; null for any. */
  @Nullable FormWatch form() {
    return form;
  }

  private boolean follow(ThoughtWatch.Verdict verdict) {
    if (verdict == ThoughtWatch.Verdict.CLOSE_THOUGHT) {
      forced = watch.close();
      numForced = 0;
    }
    return verdict == ThoughtWatch.Verdict.END_CHOICE;
  }

  /** The token that comes next whatever the model says, or -1 where it is the model's to say. */
  int forcedToken() {
    return forcedToken(0);
  }

  /** The same behind so many tokens more, all of them forced. */
  int forcedToken(int further) {
    int i = numForced + further;
    return i < forced.size() ? forced.get(i) : -1;
  }

  /** Forgets what was computed: its blocks are gone, all tokens so far are computed again. */
  void recompute(long weightVersion) {
    keptKv.lose(numComputedTokens, weightVersion);
    numComputedTokens = 0;
    numChained = 0;
    chainId = PrefixCache.ROOT;
    state = State.WAITING;
  }

  /** Forgets also scores of older weights that nobody has seen. */
  void forgetScores() {
    if (promptScores != null && numGeneratedTokens() == 0) {
      promptScores.clear();
    }
  }

  /** Whether keys of more than one weight version may be among its own: nobody may share them. */
  boolean mixesWeights() {
    return keptKv.mixesWeights();
  }

  /**
   * What it has computed so far becomes older weights'.
   *
   * @return how many tokens' older keys were lost
   */
  int mixWeights(long weightVersion) {
    return keptKv.mixWeights(numComputedTokens, weightVersion, numGeneratedTokens());
  }

  /**
   * It comes back to a step; keys that it was to keep may have been lost meanwhile.
   *
   * @return how many tokens' older keys were lost
   */
  int noteBrokenKv(long weightVersion) {
    return staleKv() == StaleKv.DROP ? 0 : keptKv.comeBack(weightVersion, numGeneratedTokens());
  }

  /** Each time that kept keys were lost. */
  List<EngineEvent.BrokenKv> brokenKv() {
    return keptKv.broken();
  }

  /** Its first blocks that are in the prefix cache. */
  int numChained() {
    return numChained;
  }

  /** The cache's id of the last of them: what its next block is a child of. */
  long chainId() {
    return chainId;
  }

  /** One more block is in the cache. */
  void chain(long id) {
    numChained++;
    chainId = id;
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

  void replaceBlock(int i, int block) {
    blocks[i] = block;
  }

  void removeLastBlock() {
    numBlocks--;
  }

  void clearBlocks() {
    numBlocks = 0;
  }
}
