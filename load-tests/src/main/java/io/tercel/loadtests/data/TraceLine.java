package io.tercel.loadtests.data;

import java.util.List;

/**
 * One request of a trace.
 *
 * @param seconds when it came, from any beginning
 * @param inputTokens of its prompt, at least 1
 * @param outputTokens of its answer, at least 1
 * @param hashIds one for each block of the prompt: those that begin with the same ids began alike
 */
public record TraceLine(double seconds, int inputTokens, int outputTokens, List<Long> hashIds) {
  public TraceLine {
    hashIds = List.copyOf(hashIds);
  }
}
