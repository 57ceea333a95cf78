package io.tercel.server.text;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/**
 * Finds the tool calls in a stream of answer text, in the form that Qwen's templates ask for:
 * {@code <tool_call>{"name": …, "arguments": {…}}</tool_call>}, any number of them.
 *
 * <p>A call is told once it is whole, since what has been told can't be taken back: one that breaks
 * off, or can't be read, stays text as the model wrote it. Blanks around calls are nobody's text,
 * nor are brackets too many before the closing marker; all other characters come out, in order. A
 * closing marker may be missing where the JSON is whole. Not thread-safe; one per choice.
 */
public final class ToolCallParser {
  private static final String OPEN = "<tool_call>";
  private static final String CLOSE = "</tool_call>";

  private enum State {
    TEXT,
    BODY,
    /** The JSON lacks its last bracket alone, and a closing marker may follow. */
    UNBRACKETED,
    /** Behind a call's JSON, where the closing marker is due. */
    TAIL
  }

  private final int maxCalls;
  private final boolean eitherCallsOrText;

  /** Whether all that comes is text. */
  private boolean plain;

  private State state = State.TEXT;

  /** Text that may still turn out to be a marker, or blanks before one; brackets in the tail. */
  private final StringBuilder held = new StringBuilder();

  /** How many characters of the held text are known to be blanks, from its beginning on. */
  private int blanks;

  /** A call as written with the blanks before it, as long as it may still turn out to be none. */
  private final StringBuilder raw = new StringBuilder();

  /** What has been read of the marker that follows a call's JSON. */
  private final StringBuilder marker = new StringBuilder();

  private ToolCallBody body = new ToolCallBody();
  private int numCalls;
  private final StringBuilder text = new StringBuilder();
  private List<OutputPart> parts = new ArrayList<>();

  /**
   * A parser for one stream.
   *
   * @param maxCalls what follows the last of them is left out
   * @param eitherCallsOrText whether an answer that begins with text has no calls
   */
  public ToolCallParser(int maxCalls, boolean eitherCallsOrText) {
    this.maxCalls = maxCalls;
    this.eitherCallsOrText = eitherCallsOrText;
  }

  /** Takes the next piece of the answer; texts and calls in their order. */
  public List<OutputPart> accept(String piece) {
    for (int i = 0; i < piece.length() && !full(); i++) {
      accept(piece.charAt(i));
    }
    return take();
  }

  /** The end of the answer: the text that was held back. */
  public List<OutputPart> finish() {
    switch (state) {
      case TEXT -> {
        if (numCalls == 0 || !held.toString().isBlank()) {
          text.append(held);
        }
      }
      case BODY -> text.append(raw);
      case UNBRACKETED -> text.append(raw).append(marker);
      case TAIL -> {} // blanks, brackets, and the beginning of a marker at most
    }
    held.setLength(0);
    marker.setLength(0);
    state = State.TAIL;
    return take();
  }

  /** Calls so far, all of them whole. */
  public int numCalls() {
    return numCalls;
  }

  /** Whether all calls that are wanted have been written. */
  public boolean full() {
    return numCalls >= maxCalls;
  }

  private void accept(char c) {
    if (plain) {
      text.append(c);
      return;
    }
    switch (state) {
      case TEXT -> text(c);
      case BODY -> body(c);
      case UNBRACKETED -> unbracketed(c);
      case TAIL -> tail(c);
    }
  }

  private void text(char c) {
    held.append(c);
    int length = startOfOpen(held);
    if (length == OPEN.length()) {
      begin();
      return;
    }
    int keep = held.length() - length;
    while (keep > blanks && Character.isWhitespace(held.charAt(keep - 1))) {
      keep--;
    }
    if (keep > blanks) {
      text.append(held, 0, keep);
      held.delete(0, keep);
      if (eitherCallsOrText && numCalls == 0) {
        plain = true;
        text.append(held);
        held.setLength(0);
        return;
      }
    }
    blanks = held.length() - length;
  }

  /** Behind an opening marker, which ends the held text. */
  private void begin() {
    raw.setLength(0);
    raw.append(held);
    held.setLength(0);
    blanks = 0;
    body = new ToolCallBody();
    state = State.BODY;
  }

  private void body(char c) {
    boolean fits = body.accept(c);
    if (!fits && c == '<' && body.lacksBracket()) {
      state = State.UNBRACKETED;
      marker.setLength(0);
      unbracketed(c);
    } else if (!fits || (body.complete() && body.name() == null)) { // no call, or of no function
      giveUp(c);
    } else {
      raw.append(c);
      if (body.complete()) {
        call();
        state = State.TAIL;
      }
    }
  }

  private void unbracketed(char c) {
    marker.append(c);
    if (CLOSE.contentEquals(marker)) {
      call();
      state = State.TEXT;
    } else if (!CLOSE.startsWith(marker.toString())) {
      String rest = marker.toString();
      marker.setLength(0);
      text.append(raw);
      reread(rest);
    } else {
      return;
    }
    marker.setLength(0);
  }

  /** What looked like a call is text; the character itself may begin one. */
  private void giveUp(char c) {
    text.append(raw);
    reread(String.valueOf(c));
  }

  private void reread(String rest) {
    state = State.TEXT;
    held.setLength(0);
    blanks = 0;
    if (eitherCallsOrText && numCalls == 0) {
      plain = true;
      text.append(rest);
      return;
    }
    for (int i = 0; i < rest.length(); i++) {
      text(rest.charAt(i));
    }
  }

  private void call() {
    flushText();
    String name = Objects.requireNonNull(body.name());
    parts.add(new OutputPart.Call(numCalls++, name, body.arguments()));
    held.setLength(0);
    blanks = 0;
    marker.setLength(0);
  }

  private void tail(char c) {
    marker.append(c);
    String read = marker.toString();
    if (read.equals(CLOSE)) {
      held.setLength(0);
      marker.setLength(0);
      state = State.TEXT;
    } else if (read.equals(OPEN)) { // the closing one was forgotten
      held.append(OPEN);
      marker.setLength(0);
      begin();
    } else if (read.length() == 1 && (Character.isWhitespace(c) || c == '}' || c == ']')) {
      held.append(c);
      marker.setLength(0);
    } else if (!CLOSE.startsWith(read) && !OPEN.startsWith(read)) { // likewise, before text
      String rest = held + read;
      marker.setLength(0);
      reread(rest);
    }
  }

  /** How many of the last characters are, or could be the beginning of, the opening marker. */
  private static int startOfOpen(StringBuilder text) {
    for (int n = Math.min(text.length(), OPEN.length()); n > 0; n--) {
      if (OPEN.startsWith(text.substring(text.length() - n))) {
        return n;
      }
    }
    return 0;
  }

  private void flushText() {
    if (!text.isEmpty()) {
      parts.add(new OutputPart.Text(text.toString()));
      text.setLength(0);
    }
  }

  private List<OutputPart> take() {
    flushText();
    List<OutputPart> taken = parts;
    parts = new ArrayList<>();
    return taken;
  }
}
