package io.tercel.server.cli;

import io.tercel.server.client.ChatSink;
import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Where a conversation is read and shown. Thoughts are dimmed where the output is a terminal and
 * {@code NO_COLOR} is not set; elsewhere the answer goes to the output and the thought to the error
 * stream's silence: it is left out. Control characters of a model are never sent to a terminal.
 */
final class ChatTerminal implements ChatSink {
  private static final String DIM = "\u001b[2m";
  private static final String PLAIN = "\u001b[0m";

  private final BufferedReader in;
  private final PrintStream out;
  private final boolean interactive;
  private final boolean terminal;
  private final boolean colors;
  private boolean dimmed;
  private boolean anything;
  private boolean lineOpen;

  /**
   * A terminal, or what stands for one.
   *
   * @param interactive whether a person types
   * @param terminal whether a person reads
   * @param colors whether thoughts may be dimmed
   */
  ChatTerminal(
      InputStream in, PrintStream out, boolean interactive, boolean terminal, boolean colors) {
    this.in = new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8));
    this.out = out;
    this.interactive = interactive;
    this.terminal = terminal;
    this.colors = colors;
  }

  /** This process's own. */
  static ChatTerminal ofProcess() {
    boolean terminal = Tty.isTerminal(Tty.STANDARD_OUTPUT);
    String noColor = System.getenv("NO_COLOR");
    String term = System.getenv("TERM");
    boolean colors =
        terminal
            && (noColor == null || noColor.isEmpty())
            && !(term != null && term.toLowerCase(Locale.ROOT).equals("dumb"));
    return new ChatTerminal(
        System.in,
        new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8),
        Tty.isTerminal(Tty.STANDARD_INPUT),
        terminal,
        colors);
  }

  boolean interactive() {
    return interactive;
  }

  /** All that comes in. */
  String readAll() throws IOException {
    StringBuilder all = new StringBuilder();
    char[] buffer = new char[8192];
    for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
      all.append(buffer, 0, n);
    }
    return all.toString();
  }

  /** Asks for the next line; null at the end. */
  @Nullable String ask() throws IOException {
    out.print("> ");
    out.flush();
    return in.readLine();
  }

  void say(String line) {
    endLine();
    out.println(line);
    out.flush();
  }

  @Override
  public void thinking(String text) {
    if (!terminal) {
      return;
    }
    if (!dimmed && colors) {
      out.print(DIM);
    }
    dimmed = true;
    print(text);
  }

  @Override
  public void answer(String text) {
    if (dimmed) {
      undim();
      endLine();
      out.println();
      print(text.stripLeading());
      return;
    }
    print(anything ? text : text.stripLeading());
  }

  /** After an answer, however it ended. */
  void endAnswer() {
    undim();
    endLine();
    anything = false;
    out.flush();
  }

  private void undim() {
    if (dimmed && colors) {
      out.print(PLAIN);
    }
    dimmed = false;
  }

  private void print(String text) {
    String clean = harmless(text);
    if (clean.isEmpty()) {
      return;
    }
    out.print(clean);
    out.flush();
    anything = true;
    lineOpen = !clean.endsWith("\n");
  }

  private void endLine() {
    if (lineOpen) {
      out.println();
      lineOpen = false;
    }
  }

  /** Text without what moves a terminal's cursor or sets its state. */
  static String harmless(String text) {
    return text.chars().allMatch(ChatTerminal::isHarmless)
        ? text
        : text.codePoints()
            .filter(ChatTerminal::isHarmless)
            .collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append)
            .toString();
  }

  private static boolean isHarmless(int c) {
    return c == '\n' || c == '\t' || !Character.isISOControl(c);
  }
}
