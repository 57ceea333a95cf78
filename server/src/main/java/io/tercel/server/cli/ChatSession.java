package io.tercel.server.cli;

import io.tercel.server.client.ChatAnswer;
import io.tercel.server.client.ChatCall;
import io.tercel.server.client.ChatClient;
import io.tercel.server.client.ChatException;
import io.tercel.server.client.ChatStream;
import io.tercel.server.client.ChatTurn;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A conversation: turns so far, and the answer under way, which {@link #interrupt} stops. Turns
 * hold answers without their thoughts, as reasoning models expect them back.
 */
final class ChatSession {
  private final ChatClient client;
  private final ChatTerminal terminal;
  private final String model;
  private final @Nullable String system;
  private final @Nullable Double temperature;
  private final @Nullable Integer maxTokens;
  private final List<ChatTurn> turns = new ArrayList<>();
  private volatile @Nullable ChatStream current;

  ChatSession(
      ChatClient client,
      ChatTerminal terminal,
      String model,
      @Nullable String system,
      @Nullable Double temperature,
      @Nullable Integer maxTokens) {
    this.client = client;
    this.terminal = terminal;
    this.model = model;
    this.system = system;
    this.temperature = temperature;
    this.maxTokens = maxTokens;
    reset();
  }

  /** Forgets all but the system prompt. */
  void reset() {
    turns.clear();
    if (system != null) {
      turns.add(ChatTurn.system(system));
    }
  }

  /** Stops the answer under way; false if there is none. Any thread may call it. */
  boolean interrupt() {
    ChatStream stream = current;
    if (stream == null) {
      return false;
    }
    stream.cancel();
    return true;
  }

  /**
   * Asks, and shows the answer as it comes. A question that got no answer is not remembered.
   *
   * @throws ChatException if it fails
   */
  ChatAnswer ask(String question) throws ChatException, InterruptedException {
    turns.add(ChatTurn.user(question));
    boolean answered = false;
    try {
      ChatStream stream =
          client.open(new ChatCall(model, turns, temperature, null, maxTokens, null));
      current = stream;
      ChatAnswer answer = stream.read(terminal);
      if (!answer.text().isBlank()) {
        turns.add(ChatTurn.assistant(answer.text().strip()));
        answered = true;
      }
      return answer;
    } finally {
      current = null;
      terminal.endAnswer();
      if (!answered) {
        turns.removeLast();
      }
    }
  }

  /** Reads questions until the input ends or {@code /quit}. */
  void converse() throws IOException, InterruptedException {
    terminal.say(
        "Chatting with %s. /reset forgets, Ctrl-C stops an answer, /quit or Ctrl-D ends."
            .formatted(model));
    while (true) {
      String line = terminal.ask();
      if (line == null || line.strip().equals("/quit") || line.strip().equals("/exit")) {
        return;
      }
      if (line.strip().equals("/reset")) {
        reset();
        terminal.say("(forgotten)");
      } else if (line.strip().startsWith("/") && !line.strip().contains(" ")) {
        terminal.say("Unknown command: there are /reset and /quit.");
      } else if (!line.isBlank()) {
        answer(line.strip());
      }
    }
  }

  private void answer(String question) throws InterruptedException {
    try {
      ChatAnswer answer = ask(question);
      if (answer.cancelled()) {
        terminal.say("(stopped)");
      } else if (answer.finishReason().equals("length")) {
        terminal.say("(cut: the limit on tokens was reached)");
      }
    } catch (ChatException e) {
      terminal.say("! " + ChatTerminal.harmless(String.valueOf(e.getMessage())));
    }
  }
}
