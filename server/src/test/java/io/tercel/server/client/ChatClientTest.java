package io.tercel.server.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.URI;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class ChatClientTest {
  private FakeChatServer server;
  private ChatClient client;

  @BeforeEach
  void start() throws IOException {
    server = new FakeChatServer(null);
    client = new ChatClient(server.url(), null);
  }

  @AfterEach
  void stop() {
    client.close();
    server.close();
  }

  private static ChatCall call() {
    return new ChatCall("tiny", List.of(ChatTurn.user("?")), 0.6, 0.95, 99, 42L);
  }

  private ChatAnswer read() throws ChatException, InterruptedException {
    return client.open(call()).read(ChatSink.NONE);
  }

  @Test
  void read_wholeStream_splitsThoughtAndAnswer() throws Exception {
    server.play(
        (request, stream) -> {
          stream.raw(": keep-alive\n\n");
          stream.event("{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}");
          stream.think("Let me");
          stream.raw("data:{\"choices\":[{\"delta\":{\"reasoning\":\" see\"}}]}\r\n\r\n");
          stream.event(
              "{\"choices\":[{\"delta\":{\"reasoning\":\"!\",\"reasoning_content\":\"!\"}}]}");
          stream.say("It is ");
          stream.say("é\n€ 5.");
          stream.end("stop", 12, 4);
        });
    StringBuilder heard = new StringBuilder();
    ChatAnswer answer =
        client
            .open(call())
            .read(
                new ChatSink() {
                  @Override
                  public void thinking(String text) {
                    heard.append('[').append(text).append(']');
                  }

                  @Override
                  public void answer(String text) {
                    heard.append(text);
                  }
                });
    assertEquals(new ChatAnswer("Let me see!", "It is é\n€ 5.", "stop", 7, 12, 4), answer);
    assertEquals("[Let me][ see][!]It is é\n€ 5.", heard.toString());
    assertEquals(
        "{\"model\":\"tiny\",\"messages\":[{\"role\":\"user\",\"content\":\"?\"}],\"stream\":true,"
            + "\"stream_options\":{\"include_usage\":true},\"temperature\":0.6,\"top_p\":0.95,"
            + "\"max_completion_tokens\":99,\"seed\":42}",
        server.requests.getFirst().toString());
  }

  @Test
  void read_refusal_carriesTheServersMessage() {
    server.play((request, stream) -> stream.refuse(400, "temperature: too hot"));
    ChatException e = assertThrows(ChatException.class, this::read);
    assertEquals("temperature: too hot", e.getMessage());
    assertFalse(e.passing());
    server.play((request, stream) -> stream.refuse(503, "full"));
    assertTrue(assertThrows(ChatException.class, this::read).passing());
  }

  @Test
  void read_errorInTheStream_isThrown() {
    server.play(
        (request, stream) -> {
          stream.say("a");
          stream.event("{\"error\":{\"message\":\"the engine failed\"}}");
        });
    assertEquals("the engine failed", assertThrows(ChatException.class, this::read).getMessage());
  }

  @Test
  void read_streamWithoutItsEnd_isNotAnAnswer() {
    server.play((request, stream) -> stream.say("half of"));
    assertTrue(
        String.valueOf(assertThrows(ChatException.class, this::read).getMessage())
            .contains("before its end"));
    server.play((request, stream) -> stream.event("not json"));
    assertThrows(ChatException.class, this::read);
  }

  @Test
  void cancel_inTheMiddle_closesTheConnectionAndKeepsWhatCame() throws Exception {
    server.play(
        (request, stream) -> {
          stream.say("so far");
          stream.untilGone();
        });
    ChatStream stream = client.open(call());
    ChatAnswer answer =
        stream.read(
            new ChatSink() {
              @Override
              public void answer(String text) {
                Thread.ofVirtual().start(stream::cancel);
              }
            });
    assertTrue(answer.cancelled());
    assertEquals("so far", answer.text());
    assertTrue(server.left.await(10, TimeUnit.SECONDS));
  }

  @Test
  void cancel_beforeTheAnswerBegins_endsIt() throws Exception {
    CountDownLatch cancelled = new CountDownLatch(1);
    server.play(
        (request, stream) -> {
          try {
            assertTrue(cancelled.await(10, TimeUnit.SECONDS)); // not a byte before
          } catch (InterruptedException e) {
            throw new IOException(e);
          }
          stream.untilGone();
        });
    ChatStream stream = client.open(call());
    Thread.ofVirtual()
        .start(
            () -> {
              stream.cancel();
              cancelled.countDown();
            });
    assertTrue(stream.read(ChatSink.NONE).cancelled());
  }

  @Test
  void model_isTheFirstListed_andNoServerIsSaid() throws Exception {
    assertEquals("tiny", client.model());
    try (ChatClient v1 = new ChatClient(URI.create(server.url() + "/v1/"), null);
        ChatClient none = new ChatClient(URI.create("http://127.0.0.1:1"), null)) {
      assertEquals("tiny", v1.model());
      assertTrue(
          String.valueOf(assertThrows(ChatException.class, none::model).getMessage())
              .startsWith("no server answers"));
      assertThrows(ChatException.class, () -> none.open(call()).read(ChatSink.NONE));
    }
  }
}
