package io.tercel.server.text;

import java.util.ArrayList;
import java.util.List;

/**
 * Splits a stream into the thought, up to the closing marker, and the answer.
 *
 * <p>There is one thought, at most. It begins in the prompt ({@link PromptThought}) or with an
 * opening marker in the output; blanks before that marker belong to it. Where it has ended, in the
 * prompt already or in the output, later markers are text. Without markers everything is answer.
 * All else is text as the model wrote it: line breaks after a marker stay, as in vLLM, whose
 * parsers cut at the markers and strip nothing.
 *
 * <p>Where the tokenizer has both markers as single tokens, only those tokens count and the same
 * letters in other tokens are text; a thought may then open anywhere. Else the letters count, split
 * over pieces or not, and a thought opens only before any other text. Not thread-safe; one per
 * choice.
 */
public final class ReasoningParser {
  /** Whose text a segment is. */
  public enum Channel {
    REASONING,
    ANSWER,
    /**
     * The markers, and blanks before the opening one: sent to nobody, but stop strings see them.
     */
    MARKER
  }

  /** A part of the output's text that belongs to one channel. */
  public record Segment(Channel channel, String text) {}

  /**
   * The strings around a thought.
   *
   * @param openId the id of {@code open} where it is one token, else -1
   * @param closeId the id of {@code close} where it is one token, else -1
   */
  public record Markers(String open, String close, int openId, int closeId) {
    /** Markers with their ids in a tokenizer. */
    public static Markers of(Tokenizer tokenizer, String open, String close) {
      return new Markers(
          open, close, tokenizer.tokenId(open).orElse(-1), tokenizer.tokenId(close).orElse(-1));
    }

    /** The markers of Qwen3 and DeepSeek-R1: {@code <think>} and {@code </think>}. */
    public static Markers think(Tokenizer tokenizer) {
      return of(tokenizer, "<think>", "</think>");
    }

    boolean areTokens() {
      return openId >= 0 && closeId >= 0;
    }
  }

  private enum State {
    /** Nothing but blanks yet: an opening marker may follow. */
    BEFORE,
    THINKING,
    ANSWERING
  }

  private final Markers markers;
  private final StringBuilder held = new StringBuilder();
  private State state;
  private boolean thought;
  private boolean atStart = true;
  private int reasoningTokens;

  /**
   * A parser for one stream.
   *
   * @param prompt how far the prompt has come
   */
  public ReasoningParser(Markers markers, PromptThought prompt) {
    this.markers = markers;
    this.state =
        switch (prompt) {
          case NONE -> State.BEFORE;
          case OPEN -> State.THINKING;
          case CLOSED -> State.ANSWERING;
        };
    this.thought = prompt != PromptThought.NONE;
  }

  /**
   * Takes one token and the text that became final with it; id -1 for text that no token made.
   *
   * @param text what the detokenizer gave for this id, markers included
   */
  public List<Segment> accept(int id, String text) {
    List<Segment> segments = new ArrayList<>(2);
    boolean wasThinking = state == State.THINKING;
    if (!markers.areTokens()) {
      held.append(text);
      byText(segments, false);
    } else if (id == markers.openId && (state == State.THINKING || !thought)) {
      open(text, segments);
      return segments;
    } else if (id == markers.closeId && state == State.THINKING) {
      int end =
          text.endsWith(markers.close) ? text.length() - markers.close.length() : text.length();
      add(Channel.REASONING, text.substring(0, end), segments);
      add(Channel.MARKER, text.substring(end), segments);
      state = State.ANSWERING;
      return segments;
    } else {
      plain(text, segments);
    }
    if (id >= 0 && wasThinking && state == State.THINKING) {
      reasoningTokens++;
    }
    return segments;
  }

  /** What was held back, at the end of the stream. */
  public List<Segment> flush() {
    List<Segment> segments = new ArrayList<>(1);
    if (!markers.areTokens()) {
      byText(segments, true);
    }
    add(
        state == State.THINKING ? Channel.REASONING : Channel.ANSWER,
        take(held.length()),
        segments);
    return segments;
  }

  /** The tokens of the thought so far, without its markers. */
  public int reasoningTokens() {
    return reasoningTokens;
  }

  /** Whether the thought is open. */
  public boolean thinking() {
    return state == State.THINKING;
  }

  private void open(String text, List<Segment> segments) {
    held.append(text);
    int end = held.length() - (text.endsWith(markers.open) ? markers.open.length() : 0);
    if (state == State.BEFORE && held.substring(0, end).isBlank()) {
      add(Channel.MARKER, take(held.length()), segments);
    } else {
      add(state == State.THINKING ? Channel.REASONING : Channel.ANSWER, take(end), segments);
      add(Channel.MARKER, take(held.length()), segments);
    }
    state = State.THINKING;
    thought = true;
  }

  /** Text without a marker token in it. */
  private void plain(String text, List<Segment> segments) {
    if (state == State.BEFORE) {
      held.append(text);
      if (held.toString().isBlank()) {
        return;
      }
      state = State.ANSWERING;
      add(Channel.ANSWER, take(held.length()), segments);
    } else {
      add(state == State.THINKING ? Channel.REASONING : Channel.ANSWER, text, segments);
    }
  }

  /** Moves through the held text as far as it is certain what it is. */
  private void byText(List<Segment> segments, boolean atEnd) {
    if (state == State.BEFORE || (state == State.THINKING && atStart)) {
      String all = held.toString();
      String text = all.stripLeading();
      if (text.startsWith(markers.open)) {
        add(Channel.MARKER, take(all.length() - text.length() + markers.open.length()), segments);
        state = State.THINKING;
        thought = true;
        atStart = false;
      } else if (!atEnd && markers.open.startsWith(text)) {
        return; // Blanks, or the beginning of the marker: either may still become one.
      } else {
        atStart = false;
        state = state == State.BEFORE ? State.ANSWERING : state;
      }
    }
    if (state == State.THINKING) {
      int close = held.indexOf(markers.close);
      if (close < 0) {
        add(Channel.REASONING, take(held.length() - (atEnd ? 0 : startOfClose())), segments);
        return;
      }
      add(Channel.REASONING, take(close), segments);
      add(Channel.MARKER, take(markers.close.length()), segments);
      state = State.ANSWERING;
    }
    add(Channel.ANSWER, take(held.length()), segments);
  }

  /** How many of the last characters could be the beginning of the closing marker. */
  private int startOfClose() {
    for (int n = Math.min(held.length(), markers.close.length() - 1); n > 0; n--) {
      if (markers.close.startsWith(held.substring(held.length() - n))) {
        return n;
      }
    }
    return 0;
  }

  private String take(int count) {
    String text = held.substring(0, count);
    held.delete(0, count);
    return text;
  }

  private static void add(Channel channel, String text, List<Segment> segments) {
    if (!text.isEmpty()) {
      segments.add(new Segment(channel, text));
    }
  }
}
