package io.tercel.server.cli;

import io.tercel.server.UserException;
import io.tercel.server.client.ChatAnswer;
import io.tercel.server.client.ChatClient;
import io.tercel.server.client.ChatException;
import java.io.IOException;
import java.util.List;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import sun.misc.Signal;

/** {@code tercel chat}: a conversation in the terminal, or one question and its answer. */
@CommandLine.Command(
    name = "chat",
    description = {
      "Chats with a model in the terminal, its thinking dimmed.",
      "With a prompt, or with one on the standard input, it answers once and ends."
    },
    mixinStandardHelpOptions = true)
public final class ChatCommand implements Command {
  /** As shells number a process that Ctrl-C ended. */
  private static final int INTERRUPTED = 130;

  @CommandLine.Mixin private ServerChoice server = new ServerChoice();

  @CommandLine.Option(
      names = "--system",
      paramLabel = "TEXT",
      description = "A system prompt. Default: none.")
  private @Nullable String system;

  @CommandLine.Option(
      names = "--temperature",
      paramLabel = "T",
      description = "0 is greedy. Default: the model's.")
  private @Nullable Double temperature;

  @CommandLine.Option(
      names = "--max-tokens",
      paramLabel = "N",
      description = "The longest answer, thinking included. Default: what the context holds.")
  private @Nullable Integer maxTokens;

  @CommandLine.Parameters(paramLabel = "PROMPT", arity = "0..*", description = "One question.")
  private List<String> prompt = List.of();

  private final Supplier<ChatTerminal> terminals;

  /** The command on this process's terminal. */
  public ChatCommand() {
    this(ChatTerminal::ofProcess);
  }

  ChatCommand(Supplier<ChatTerminal> terminals) {
    this.terminals = terminals;
  }

  @Override
  public Integer call() throws InterruptedException {
    check();
    ChatTerminal terminal = terminals.get();
    try {
      String question =
          !prompt.isEmpty()
              ? String.join(" ", prompt)
              : terminal.interactive() ? null : terminal.readAll().strip();
      if (question != null && question.isBlank()) {
        throw new UserException("nothing to ask: the standard input is empty");
      }
      try (RunningServer running = server.open();
          ChatClient client = new ChatClient(running.url(), running.apiKey())) {
        ChatSession session =
            new ChatSession(client, terminal, client.model(), system, temperature, maxTokens);
        stopOnCtrlC(session, question != null);
        if (question == null) {
          session.converse();
          return 0;
        }
        ChatAnswer answer = session.ask(question);
        return answer.cancelled() ? INTERRUPTED : 0;
      }
    } catch (ChatException e) {
      String message = ChatTerminal.harmless(String.valueOf(e.getMessage()));
      String hint =
          message.startsWith("no server")
              ? ": start one with tercel serve, or give --model, or another --url"
              : "";
      throw new UserException(message + hint, e);
    } catch (IOException e) {
      throw new UserException("the input can't be read: " + e.getMessage(), e);
    }
  }

  private void check() {
    if (temperature != null && !(temperature >= 0 && temperature <= 2)) {
      throw new UserException("--temperature: between 0 and 2, not " + temperature);
    }
    if (maxTokens != null && maxTokens < 1) {
      throw new UserException("--max-tokens: at least 1, not " + maxTokens);
    }
  }

  /** Ctrl-C stops an answer; between answers it ends a single question and hints otherwise. */
  private static void stopOnCtrlC(ChatSession session, boolean once) {
    try {
      Signal.handle(
          new Signal("INT"),
          _ -> {
            if (!session.interrupt()) {
              if (once) {
                System.exit(INTERRUPTED);
              }
              System.err.println("\n(/quit or Ctrl-D ends)");
            }
          });
    } catch (IllegalArgumentException e) {
      // The JVM keeps the signal to itself (-Xrs): Ctrl-C then ends the process.
    }
  }
}
