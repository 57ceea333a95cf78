package io.tercel.server.text;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Finds the tool calls in a stream of answer text, in the form that Qwen's templates ask for:
 * {@code <tool_call>{"name": …, "arguments": {…}}</tool_call>}, any number of them.
 *
 * <p>Arguments are passed on as they come. Blanks around calls are nobody's text. A call that can't
 * be read stays in the text as the model wrote it; one whose arguments break off (at the token
 * limit, say) has been passed on as far as it went. Not thread-safe; one per choice.
 */
public final class ToolCallParser {
  private static final String OPEN = "<tool_call>";
  private static final String CLOSE = "</tool_call>";

  /**
   * What a call gained.
   *
   * @param index of the call within the choice, from 0
   * @param name of the function, on the first delta of a call only
   * @param arguments more of the JSON of its arguments, may be empty
   */
  public record CallDelta(int index, @Nullable String name, String arguments) {}

  /**
   * What a piece of the answer came to.
   *
   * @param text that belongs to no call, may be empty
   */
  public record Delta(String text, List<CallDelta> calls) {}

  private enum State {
    TEXT,
    BODY,
    /** Behind a call's JSON: all up to the closing marker is left out. */
    TAIL
  }

  private final int maxCalls;
  private State state = State.TEXT;

  /** Text that may still turn out to be a marker, or blanks before one. */
  private final StringBuilder held = new StringBuilder();

  /** How many characters of the held text are known to be blanks, from its beginning on. */
  private int blanks;

  /** A call as written, as long as it may still turn out to be none. */
  private final StringBuilder raw = new StringBuilder();

  private ToolCallBody body = new ToolCallBody();
  private boolean begun;
  private int numCalls;
  private final StringBuilder text = new StringBuilder();
  private List<CallDelta> calls = new ArrayList<>();

  /**
   * A parser for one stream.
   *
   * @param maxCalls later calls are left out
   */
  public ToolCallParser(int maxCalls) {
    this.maxCalls = maxCalls;
  }

  /** Takes the next piece of the answer. */
  public Delta accept(String piece) {
    for (int i = 0; i < piece.length(); i++) {
      accept(piece.charAt(i));
    }
    passArguments();
    return delta();
  }

  /** The end of the answer: the text that was held back. */
  public String finish() {
    if (state == State.BODY && !begun) {
      text.append(raw);
    } else if (state == State.TEXT && !(numCalls > 0 && held.toString().isBlank())) {
      text.append(held);
    }
    held.setLength(0);
    state = State.TAIL;
    return delta().text();
  }

  /** Calls so far, the one that is being written included. */
  public int numCalls() {
    return numCalls;
  }

  /** Whether all calls that are wanted have been written to their ends. */
  public boolean full() {
    boolean writing = state == State.BODY && begun;
    return (writing ? numCalls - 1 : numCalls) >= maxCalls;
  }

  private void accept(char c) {
    switch (state) {
      case TEXT -> text(c);
      case BODY -> body(c);
      case TAIL -> tail(c);
    }
  }

  private void text(char c) {
    held.append(c);
    int marker = startOfMarker(held, OPEN);
    if (marker == OPEN.length()) {
      held.setLength(0);
      blanks = 0;
      raw.setLength(0);
      raw.append(OPEN);
      body = new ToolCallBody();
      begun = false;
      state = State.BODY;
      return;
    }
    int keep = held.length() - marker;
    while (keep > blanks && Character.isWhitespace(held.charAt(keep - 1))) {
      keep--;
    }
    if (keep > blanks) {
      text.append(held, 0, keep);
      held.delete(0, keep);
    }
    blanks = held.length() - marker;
  }

  private void body(char c) {
    raw.append(c);
    boolean fits = body.accept(c);
    if (!begun && body.name() != null) {
      begun = true;
      numCalls++;
      if (numCalls <= maxCalls) {
        calls.add(new CallDelta(numCalls - 1, body.name(), ""));
      }
    }
    if (!begun && (!fits || body.complete())) { // no call, or of no function
      text.append(raw);
      state = State.TEXT;
    } else if (!fits || body.complete()) {
      passArguments();
      state = State.TAIL;
      held.setLength(0);
      if (!fits) {
        tail(c);
      }
    }
  }

  private void passArguments() {
    if (state == State.BODY && begun && numCalls <= maxCalls) {
      String more = body.takeArguments();
      int index = numCalls - 1;
      if (!calls.isEmpty() && calls.getLast().index() == index) { // clients expect one a piece
        CallDelta last = calls.removeLast();
        calls.add(new CallDelta(index, last.name(), last.arguments() + more));
      } else if (!more.isEmpty()) {
        calls.add(new CallDelta(index, null, more));
      }
    }
  }

  private void tail(char c) {
    held.append(c);
    if (startOfMarker(held, OPEN) == OPEN.length()) { // the closing one was forgotten
      held.setLength(0);
      held.append(OPEN, 0, OPEN.length() - 1);
      state = State.TEXT;
      text(c);
    } else if (startOfMarker(held, CLOSE) == CLOSE.length()) {
      held.setLength(0);
      state = State.TEXT;
    }
  }

  /** How many of the last characters are, or could be the beginning of, the marker. */
  private static int startOfMarker(StringBuilder text, String marker) {
    for (int n = Math.min(text.length(), marker.length()); n > 0; n--) {
      if (marker.startsWith(text.substring(text.length() - n))) {
        return n;
      }
    }
    return 0;
  }

  private Delta delta() {
    Delta delta = new Delta(text.toString(), calls);
    text.setLength(0);
    calls = new ArrayList<>();
    return delta;
  }
}
