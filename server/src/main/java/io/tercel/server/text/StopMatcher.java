package io.tercel.server.text;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Finds the first of several stop strings in a stream of text pieces.
 *
 * <p>First is the one that is complete first, whatever the pieces' bounds; of two that end together
 * the longer. What could still become a stop string is held back, so that no part of one is ever
 * sent. One automaton (Knuth, Morris, Pratt 1977) per stop string: time is linear in the text. Not
 * thread-safe; one per choice.
 */
public final class StopMatcher {
  /**
   * What a piece of text led to.
   *
   * @param text what may be sent now
   * @param stop the stop string that was found; then this is the last text
   */
  public record Result(String text, @Nullable String stop) {}

  private final List<String> stops;
  private final int[][] fallbacks;
  private final int[] states;
  private final boolean includeStop;
  private final StringBuilder held = new StringBuilder();
  private boolean stopped;

  /**
   * A matcher for one stream.
   *
   * @param stops none, one or several strings; empty ones are ignored
   * @param includeStop whether the stop string itself is sent (include_stop_str_in_output)
   */
  public StopMatcher(List<String> stops, boolean includeStop) {
    this.stops = stops.stream().filter(stop -> !stop.isEmpty()).toList();
    this.includeStop = includeStop;
    this.states = new int[this.stops.size()];
    this.fallbacks = this.stops.stream().map(StopMatcher::fallback).toArray(int[][]::new);
  }

  /** Takes the next piece; after a match there is nothing more to say. */
  public Result accept(String piece) {
    if (stopped) {
      return new Result("", null);
    }
    for (int i = 0; i < piece.length(); i++) {
      held.append(piece.charAt(i));
      String found = advance(piece.charAt(i));
      if (found != null) {
        stopped = true;
        String text = held.substring(0, held.length() - (includeStop ? 0 : found.length()));
        held.setLength(0);
        return new Result(text, found);
      }
    }
    int keep = 0;
    for (int state : states) {
      keep = Math.max(keep, state);
    }
    String text = held.substring(0, held.length() - keep);
    held.delete(0, held.length() - keep);
    return new Result(text, null);
  }

  /** What was held back, at the end of the stream. */
  public String flush() {
    String rest = held.toString();
    held.setLength(0);
    stopped = true;
    return rest;
  }

  /** Moves every automaton by one character; the longest stop string that is now complete. */
  private @Nullable String advance(char c) {
    String found = null;
    for (int s = 0; s < states.length; s++) {
      String stop = stops.get(s);
      int state = states[s];
      while (state > 0 && stop.charAt(state) != c) {
        state = fallbacks[s][state - 1];
      }
      states[s] = stop.charAt(state) == c ? state + 1 : 0;
      if (states[s] == stop.length()) {
        found = found == null || stop.length() > found.length() ? stop : found;
        states[s] = 0; // Only after a match, when no more is read.
      }
    }
    return found;
  }

  private static int[] fallback(String stop) {
    int[] longest = new int[stop.length()];
    int state = 0;
    for (int i = 1; i < stop.length(); i++) {
      while (state > 0 && stop.charAt(i) != stop.charAt(state)) {
        state = longest[state - 1];
      }
      state += stop.charAt(i) == stop.charAt(state) ? 1 : 0;
      longest[i] = state;
    }
    return longest;
  }
}
