package io.tercel.loadtests.data;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import java.util.SplittableRandom;

/**
 * Sessions as requests: each prompt holds all that was said before it, the server's own answers
 * included. As a {@link Dataset} it has the first request of each.
 */
public final class SessionDataset implements Dataset {
  private final Sessions sessions;
  private final int maxTokens;
  private final double thinkSeconds;
  private final long seed;

  /**
   * Of these sessions.
   *
   * @param maxTokens of each answer; 0 leaves it to the server
   * @param thinkSeconds a user's mean time between an answer and the next question, drawn from an
   *     exponential distribution
   */
  public SessionDataset(Sessions sessions, int maxTokens, double thinkSeconds, long seed) {
    this.sessions = sessions;
    this.maxTokens = maxTokens;
    this.thinkSeconds = thinkSeconds;
    this.seed = seed;
  }

  /** The session of that index, at its beginning. */
  public Session session(long index) {
    return new Session(index);
  }

  @Override
  public LoadRequest request(long index) {
    return session(index).next();
  }

  /** A session under way. For one thread. */
  public final class Session {
    private final Sessions.Script script;
    private final SplittableRandom random;
    private final long index;
    private final ArrayNode messages = JsonNodeFactory.instance.arrayNode();
    private int turn;

    private Session(long index) {
      this.index = index;
      this.script = sessions.script(index);
      this.random = Seeds.stream(seed, "session requests", index);
      if (!script.system().isEmpty()) {
        say("system", script.system());
      }
    }

    /** Whether there is another turn. */
    public boolean hasNext() {
      return turn < script.turns().size();
    }

    /** The next turn's request; only where there is one. */
    public LoadRequest next() {
      say("user", script.turns().get(turn++));
      return new LoadRequest(
          index,
          new Prompt.Messages(messages.deepCopy()),
          maxTokens,
          random.nextLong() >>> 1,
          LoadRequest.Tags.turn(turn));
    }

    /** What the server answered, without its thinking, which templates leave out too. */
    public void answered(String text) {
      say("assistant", text);
    }

    /** How long its user thinks before the next turn, in nanoseconds. */
    public long thinkNanos() {
      return Math.round(random.nextExponential() * thinkSeconds * 1e9);
    }

    private void say(String role, String text) {
      messages.addObject().put("role", role).put("content", text);
    }
  }
}
