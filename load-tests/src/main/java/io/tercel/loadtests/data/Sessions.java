package io.tercel.loadtests.data;

import java.util.List;

/**
 * An endless row of sessions, conversations that clients go through turn by turn. A session is a
 * function of the seed and its index alone; only the answers in its prompts are the server's. Safe
 * for many threads.
 */
public interface Sessions {
  /**
   * What is said in one session.
   *
   * @param system the system message; empty for none
   * @param turns what its user says, at least once
   */
  record Script(String system, List<String> turns) {
    public Script {
      turns = List.copyOf(turns);
    }
  }

  /** The session of that index, from 0. */
  Script script(long index);
}
