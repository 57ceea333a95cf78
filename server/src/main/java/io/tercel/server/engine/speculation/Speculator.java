package io.tercel.server.engine.speculation;

import org.jspecify.annotations.Nullable;

/**
 * What an engine's sequences have in common when they speculate: what was said lately, how often
 * drafts of each kind came true, and what rows cost. Owned by the engine thread.
 *
 * <p>None of it changes what is said. It is learnt from one clients' answers and used for others',
 * so the time that an answer takes may tell a client what others were told, as it does with a
 * shared prefix cache; {@link Speculation.Method#NGRAM} looks at the own text only.
 */
public final class Speculator {
  private final Speculation settings;
  private final @Nullable SuffixMemory memory;
  private final Acceptance acceptance = new Acceptance();
  private final StepCost cost = new StepCost();
  private final StepGain gain = new StepGain(cost);

  public Speculator(Speculation settings) {
    this.settings = settings;
    boolean suffix = settings.method() == Speculation.Method.SUFFIX;
    this.memory = suffix ? new SuffixMemory(SuffixMemory.NODES) : null;
  }

  /** Bytes that it takes, beside some {@value #SEQUENCE_BYTES} a token of each sequence. */
  public static long bytes(Speculation settings) {
    return settings.method() == Speculation.Method.SUFFIX ? SuffixMemory.bytes() : 0;
  }

  /** Bytes for each token of a sequence, at most. */
  public static final int SEQUENCE_BYTES = 16;

  /** A new sequence's drafts. */
  public Drafting drafting(int promptLength) {
    Drafter drafter =
        memory == null ? new NgramDraft() : new SuffixDraft(memory, acceptance, promptLength);
    return new Drafting(this, drafter);
  }

  /** Begins a step that says so many tokens from so many rows before drafts are added. */
  public void beginStep(int sampled, int rows) {
    gain.begin(sampled, rows);
  }

  /** Whether one row more pays in this step, for a token of that chance. */
  public boolean pays(double chance) {
    return settings.always() || gain.worth(new double[] {chance}, 1) == 1;
  }

  /** A row is in the step, for a drafted token of that chance. */
  public void add(double chance) {
    gain.add(chance);
  }

  /** A step of so many rows took so long. */
  public void stepTook(int rows, long nanos) {
    cost.took(rows, nanos);
  }

  /** Tokens of a lower chance are not worth a row in this step. */
  double least() {
    return settings.always() ? 0 : gain.least();
  }

  int worth(double[] chances, int count) {
    return settings.always() ? count : gain.worth(chances, count);
  }

  Acceptance acceptance() {
    return acceptance;
  }
}
