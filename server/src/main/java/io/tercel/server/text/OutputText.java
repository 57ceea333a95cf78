package io.tercel.server.text;

import io.tercel.server.text.ReasoningParser.Channel;
import io.tercel.server.text.ReasoningParser.Segment;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * One choice's way from token ids to what a client reads: detokenize, split thought from answer,
 * look for stop strings.
 *
 * <p>Stop strings are sought in the whole output, thought and markers included, as in vLLM; so
 * {@code stop: ["</think>"]} ends after the thought. Text of the first {@code minTokens} tokens is
 * no part of a stop string. Not thread-safe.
 */
public final class OutputText {
  /**
   * What a token added.
   *
   * @param parts texts of the thought and the answer, in their order, no two of a kind in a row
   * @param stop the stop string that ended the output, if one did; generation should end too
   */
  public record Delta(List<OutputPart> parts, @Nullable String stop) {}

  /** Characters the stop matcher has not yet given back, by channel and in order. */
  private record Run(Channel channel, int length) {}

  private final IncrementalDetokenizer detokenizer;
  private final Optional<ReasoningParser> parser;
  private final StopMatcher stops;
  private final int minTokens;
  private final boolean splits;
  private int numTokens;
  private final Deque<Run> runs = new ArrayDeque<>();
  private List<OutputPart> parts = new ArrayList<>();

  /** The part that is being put together, and what it is made of. */
  private Channel open = Channel.MARKER;

  private final StringBuilder part = new StringBuilder();
  private @Nullable String stop;

  /**
   * The stream of one choice.
   *
   * @param parser empty where nothing is to be split: all is answer
   */
  public OutputText(
      IncrementalDetokenizer detokenizer, Optional<ReasoningParser> parser, StopMatcher stops) {
    this(detokenizer, parser, stops, 0, true);
  }

  /**
   * The stream of one choice that may not end early.
   *
   * @param minTokens stop strings are looked for in the text of the tokens after so many
   * @param splits whether the thought is told apart; else all is answer, markers included, and the
   *     parser only counts
   */
  public OutputText(
      IncrementalDetokenizer detokenizer,
      Optional<ReasoningParser> parser,
      StopMatcher stops,
      int minTokens,
      boolean splits) {
    this.minTokens = minTokens;
    this.splits = splits;
    this.detokenizer = detokenizer;
    this.parser = parser;
    this.stops = stops;
  }

  /** Takes the next token; after a stop string there is nothing more. */
  public Delta accept(int id) {
    numTokens++;
    String text = detokenizer.accept(id);
    segments(read(id, text));
    return delta();
  }

  /** The end of the stream without a stop string: all that was held back. */
  public Delta finish() {
    String rest = detokenizer.flush();
    segments(read(-1, rest)); // No token made this text, so no marker is in it.
    if (splits) {
      parser.ifPresent(p -> segments(p.flush()));
    }
    if (stop == null) {
      give(stops.flush());
    }
    return delta();
  }

  private List<Segment> read(int id, String text) {
    List<Segment> whole = List.of(new Segment(Channel.ANSWER, text));
    if (parser.isEmpty()) {
      return whole;
    }
    List<Segment> apart = parser.get().accept(id, text);
    return splits ? apart : whole;
  }

  /** The tokens of the thought so far; 0 without a parser. */
  public int reasoningTokens() {
    return parser.map(ReasoningParser::reasoningTokens).orElse(0);
  }

  /** Whether the output is within the thought. */
  public boolean thinking() {
    return parser.map(ReasoningParser::thinking).orElse(false);
  }

  private void segments(List<Segment> segments) {
    for (Segment segment : segments) {
      if (stop != null) {
        return;
      }
      runs.add(new Run(segment.channel(), segment.text().length()));
      if (numTokens <= minTokens) {
        give(segment.text());
        continue;
      }
      StopMatcher.Result result = stops.accept(segment.text());
      stop = result.stop();
      give(result.text());
    }
  }

  /** Deals the matcher's text out to the channels it came from. */
  private void give(String text) {
    int start = 0;
    while (start < text.length()) {
      Run run = runs.remove();
      int end = Math.min(start + run.length(), text.length());
      if (end - start < run.length()) {
        runs.addFirst(new Run(run.channel(), run.length() - (end - start)));
      }
      if (run.channel() != Channel.MARKER) {
        if (run.channel() != open) {
          endPart();
          open = run.channel();
        }
        part.append(text, start, end);
      }
      start = end;
    }
  }

  private Delta delta() {
    endPart();
    Delta delta = new Delta(parts, stop);
    parts = new ArrayList<>();
    return delta;
  }

  private void endPart() {
    if (!part.isEmpty()) {
      String text = part.toString();
      parts.add(
          open == Channel.REASONING ? new OutputPart.Thought(text) : new OutputPart.Text(text));
      part.setLength(0);
    }
  }
}
