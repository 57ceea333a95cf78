package io.tercel.server.engine;

import java.util.List;

/**
 * What the engine must know of a choice's thought, as plain token ids.
 *
 * @param startsOpen whether the prompt leaves a thought open
 * @param openId the token that opens a thought, or -1
 * @param closeId the token that closes it
 * @param budget most tokens of the thought before it is closed by force; -1 for no limit
 * @param closing the tokens that close it by force, closeId among them: {@code </think>} and what
 *     the template has behind it
 */
public record Thinking(
    boolean startsOpen, int openId, int closeId, int budget, List<Integer> closing) {

  public Thinking {
    closing = List.copyOf(closing);
    if (!closing.contains(closeId)) {
      throw new IllegalArgumentException("what closes a thought must contain " + closeId);
    }
  }
}
