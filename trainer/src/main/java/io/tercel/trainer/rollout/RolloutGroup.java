package io.tercel.trainer.rollout;

import io.tercel.server.engine.EngineEvent.FinishReason;
import io.tercel.trainer.data.PromptSet.Prompt;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** The answers to a prompt as they come, token by token. */
public final class RolloutGroup {
  private final Prompt prompt;
  private final List<Answer> answers = new ArrayList<>();
  private final Rollout[] done;
  private int open;

  /** None yet. */
  public RolloutGroup(Prompt prompt, int size) {
    this.prompt = prompt;
    this.done = new Rollout[size];
    this.open = size;
    for (int i = 0; i < size; i++) {
      answers.add(new Answer());
    }
  }

  /**
   * A token of an answer.
   *
   * @param version of the weights that made it
   * @param forced whether it was put there rather than drawn
   */
  public void add(int choice, int token, float logProb, long version, boolean forced) {
    answers.get(choice).add(token, logProb, version, forced);
  }

  /** An answer has ended. */
  public void end(int choice, FinishReason reason) {
    if (done[choice] == null) {
      done[choice] = answers.get(choice).end(prompt, reason);
      open--;
    }
  }

  /** Whether all answers have ended. */
  public boolean whole() {
    return open == 0;
  }

  /** All answers, once they have ended. */
  public List<Rollout> rollouts() {
    return List.of(done);
  }

  /** An answer as it comes. */
  private static final class Answer {
    private int count;
    private int[] tokens = new int[64];
    private float[] logProbs = new float[64];
    private long[] versions = new long[64];
    private boolean[] forced = new boolean[64];

    void add(int token, float logProb, long version, boolean put) {
      if (count == tokens.length) {
        resize(2 * count);
      }
      tokens[count] = token;
      logProbs[count] = logProb;
      versions[count] = version;
      forced[count++] = put;
    }

    private void resize(int length) {
      tokens = Arrays.copyOf(tokens, length);
      logProbs = Arrays.copyOf(logProbs, length);
      versions = Arrays.copyOf(versions, length);
      forced = Arrays.copyOf(forced, length);
    }

    Rollout end(Prompt prompt, FinishReason reason) {
      resize(count);
      return new Rollout(prompt, tokens, logProbs, versions, forced, reason);
    }
  }
}
