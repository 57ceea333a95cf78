package io.tercel.server.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.server.UserException;
import io.tercel.server.client.ChatClient;
import io.tercel.server.client.FakeChatServer;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.ServiceLoader;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import picocli.CommandLine;

@Timeout(60)
class ChatCommandTest {
  private static final String DIM = "\u001b[2m";
  private static final String PLAIN = "\u001b[0m";

  private FakeChatServer server;
  private final ByteArrayOutputStream shown = new ByteArrayOutputStream();
  private final StringWriter errors = new StringWriter();

  @BeforeEach
  void start() throws IOException {
    server = new FakeChatServer("k");
  }

  @AfterEach
  void stop() {
    server.close();
  }

  private ChatTerminal terminal(String input, boolean interactive, boolean colors) {
    InputStream in = new ByteArrayInputStream(input.getBytes(StandardCharsets.UTF_8));
    PrintStream out = new PrintStream(shown, true, StandardCharsets.UTF_8);
    return new ChatTerminal(in, out, interactive, interactive || colors, colors);
  }

  private int chat(ChatTerminal terminal, String... more) {
    return chatWithKey("k", terminal, more);
  }

  private int chatWithKey(String key, ChatTerminal terminal, String... more) {
    List<String> args =
        new ArrayList<>(List.of("--url", server.url().toString(), "--api-key", key));
    args.addAll(List.of(more));
    CommandLine commandLine = new CommandLine(new ChatCommand(() -> terminal));
    commandLine.setErr(new PrintWriter(errors, true));
    commandLine.setExecutionExceptionHandler(
        (e, command, parsed) -> {
          if (e instanceof UserException) {
            command.getErr().println(e.getMessage());
            return 1;
          }
          throw e;
        });
    return commandLine.execute(args.toArray(String[]::new));
  }

  private String output() {
    return shown.toString(StandardCharsets.UTF_8);
  }

  @Test
  void chat_promptAsArguments_answersOnceWithoutTheThought() {
    assertEquals(0, chat(terminal("", false, false), "What", "is", "it?"), errors::toString);
    assertEquals("Fine.\n", output());
    assertEquals("What is it?", server.requests.getFirst().at("/messages/0/content").asText());
    assertFalse(server.requests.getFirst().has("temperature"));
  }

  @Test
  void chat_pipedInput_isOneQuestion() {
    assertEquals(0, chat(terminal("two\nlines\n", false, false)), errors::toString);
    assertEquals("two\nlines", server.requests.getFirst().at("/messages/0/content").asText());
    assertEquals(1, chat(terminal(" \n", false, false)));
  }

  @Test
  void chat_terminal_dimsTheThoughtAndKeepsTheConversation() {
    int status =
        chat(
            terminal("hi\nagain\n/reset\nnew\n/nope\n/quit\nnever\n", true, true),
            "--system",
            "Be brief.",
            "--temperature",
            "0",
            "--max-tokens",
            "9");
    assertEquals(0, status, errors::toString);
    assertTrue(output().contains(DIM + "Hm." + PLAIN + "\n\nFine.\n"), output());
    assertTrue(output().contains("Unknown command"), output());
    assertEquals(3, server.requests.size());
    assertEquals(
        "[{\"role\":\"system\",\"content\":\"Be brief.\"},{\"role\":\"user\",\"content\":\"hi\"},"
            + "{\"role\":\"assistant\",\"content\":\"Fine.\"},{\"role\":\"user\",\"content\":\"again\"}]",
        server.requests.get(1).get("messages").toString());
    assertEquals(2, server.requests.get(2).get("messages").size(), "after /reset");
    assertEquals(9, server.requests.getFirst().get("max_completion_tokens").asInt());
  }

  @Test
  void chat_noColor_hasNoEscapes() {
    assertEquals(0, chat(terminal("hi\n", true, false)), errors::toString);
    assertTrue(output().contains("Hm.\n\nFine.\n"), output());
    assertFalse(output().contains("\u001b"), output());
  }

  @Test
  void chat_modelsControlCharacters_neverReachTheTerminal() {
    server.play(
        (request, stream) -> {
          stream.say("a\u001b[31mb\u0007\u009b2Jc\td");
          stream.end("stop", 1, 0);
        });
    assertEquals(0, chat(terminal("", false, false), "?"));
    assertEquals("a[31mb2Jc\td\n", output());
  }

  @Test
  void chat_refusal_keepsTheSessionAndForgetsTheQuestion() {
    AtomicInteger calls = new AtomicInteger();
    server.play(
        (request, stream) -> {
          if (calls.getAndIncrement() == 0) {
            stream.refuse(400, "too long");
          } else {
            stream.say("ok");
            stream.end("length", 1, 0);
          }
        });
    assertEquals(0, chat(terminal("one\ntwo\n", true, false)), errors::toString);
    assertTrue(output().contains("! too long"), output());
    assertTrue(output().contains("the limit on tokens"), output());
    assertEquals(1, server.requests.get(1).get("messages").size());
  }

  @Test
  void interrupt_stopsTheAnswerAndTheNextOneWorks() throws Exception {
    AtomicInteger calls = new AtomicInteger();
    ChatSession[] holder = new ChatSession[1];
    server.play(
        (request, stream) -> {
          if (calls.getAndIncrement() == 0) {
            stream.say("half");
            holder[0].interrupt();
            stream.untilGone();
          } else {
            stream.say("ok");
            stream.end("stop", 1, 0);
          }
        });
    try (ChatClient client = new ChatClient(server.url(), "k")) {
      ChatSession session =
          new ChatSession(client, terminal("", true, false), "tiny", null, null, null);
      holder[0] = session;
      assertFalse(session.interrupt(), "nothing to stop");
      assertTrue(session.ask("a").cancelled());
      assertEquals("ok", session.ask("b").text());
      assertFalse(session.interrupt());
    }
  }

  @Test
  void chat_badOptions_areOneLine() {
    assertEquals(1, chat(terminal("", false, false), "--temperature", "3", "?"));
    assertEquals(1, chat(terminal("", false, false), "--max-tokens", "0", "?"));
    assertEquals(1, chat(terminal("", false, false), "--model", "x/y", "?"));
    assertEquals(1, chatWithKey("wrong", terminal("", false, false), "?"));
    server.close();
    assertEquals(1, chat(terminal("", false, false), "?"));
    List<String> lines = errors.toString().lines().toList();
    assertEquals(5, lines.size(), errors::toString);
    assertTrue(lines.get(0).startsWith("--temperature: "), lines.get(0));
    assertTrue(lines.get(2).contains("--url and --model"), lines.get(2));
    assertTrue(lines.get(3).contains("TERCEL_API_KEY"), lines.get(3));
    assertTrue(lines.get(4).contains("tercel serve"), lines.get(4));
  }

  @Test
  void chat_isRegistered() {
    assertTrue(
        ServiceLoader.load(Command.class).stream().anyMatch(p -> p.type() == ChatCommand.class));
    assertFalse(Tty.isTerminal(99));
  }
}
