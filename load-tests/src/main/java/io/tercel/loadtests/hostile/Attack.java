package io.tercel.loadtests.hostile;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.SocketTimeoutException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One way to treat a server badly.
 *
 * @param name for the table
 * @param clients that do it at once
 * @param client what each does
 */
public record Attack(String name, int clients, Client client) {
  private static final String CHAT = "/v1/chat/completions";
  private static final int MIB = 1 << 20;

  /** What a client does with its connections. */
  public interface Client {
    void attack(Door door, Tally tally) throws IOException, InterruptedException;
  }

  /**
   * Where the clients knock.
   *
   * @param model that requests name
   * @param hold how long what takes time is kept up
   */
  public record Door(URI server, @Nullable String apiKey, String model, Duration hold) {
    RawSocket open() throws IOException {
      return new RawSocket(server, apiKey, false, (int) hold.toMillis() + 150_000);
    }

    RawSocket openSlow() throws IOException {
      return new RawSocket(server, apiKey, true, (int) hold.toMillis() + 150_000);
    }

    byte[] stream(int maxTokens) {
      return """
          {"model": "%s", "messages": [{"role": "user", "content": "Say something."}], "stream": true,
           "ignore_eos": true, "logprobs": true, "top_logprobs": 20, "max_tokens": %d}"""
          .formatted(model, maxTokens)
          .getBytes(StandardCharsets.UTF_8);
    }
  }

  /** All of them. */
  public static List<Attack> all() {
    return List.of(
        new Attack("idle connections", 1000, Attack::idle),
        new Attack("half a head, then silence", 200, Attack::halfHead),
        new Attack("half a body, then silence", 200, Attack::halfBody),
        new Attack("header floods of 1 MiB", 200, Attack::headerFlood),
        new Attack("bodies that announce 1 GiB", 200, Attack::announced),
        new Attack("chunked bodies without end", 8, Attack::endless),
        new Attack("100,000 levels of nesting", 64, Attack::nested),
        new Attack("16 MiB of empty arrays", 24, Attack::arrays),
        new Attack("one text of 16 MiB", 24, Attack::longText),
        new Attack("lengths that lie", 200, Attack::lyingLength),
        new Attack("streams that nobody reads", 64, Attack::neverReads),
        new Attack("streams left by reset", 200, Attack::resets));
  }

  private static void idle(Door door, Tally tally) throws IOException, InterruptedException {
    try (RawSocket socket = door.open()) {
      Thread.sleep(door.hold());
      socket.post("/tokenize", "{\"prompt\": \"x\"}".getBytes(StandardCharsets.UTF_8));
      tally.add(socket.status());
    }
  }

  private static void halfHead(Door door, Tally tally) throws IOException, InterruptedException {
    try (RawSocket socket = door.open()) {
      socket.send(socket.head(CHAT, "X-Never: "));
      Thread.sleep(door.hold());
      tally.add(Tally.CLOSED);
    }
  }

  private static void halfBody(Door door, Tally tally) throws IOException, InterruptedException {
    try (RawSocket socket = door.open()) {
      socket.send(socket.head(CHAT, "Content-Length: 100000\r\n\r\n{\"messages\": ["));
      Thread.sleep(door.hold());
      tally.add(Tally.CLOSED);
    }
  }

  private static void headerFlood(Door door, Tally tally) throws IOException {
    try (RawSocket socket = door.open()) {
      StringBuilder flood = new StringBuilder();
      while (flood.length() < MIB) {
        flood.append("x-flood-").append(flood.length()).append(": ").append("y".repeat(100));
        flood.append("\r\n");
      }
      tally.add(
          statusAfter(
              socket, socket.head(CHAT, flood + "\r\n").getBytes(StandardCharsets.ISO_8859_1)));
    }
  }

  private static void announced(Door door, Tally tally) throws IOException {
    try (RawSocket socket = door.open()) {
      socket.send(socket.head(CHAT, "Content-Length: 1073741824\r\n\r\n{"));
      tally.add(socket.status());
    }
  }

  private static void endless(Door door, Tally tally) throws IOException {
    try (RawSocket socket = door.open()) {
      socket.send(socket.head(CHAT, "Transfer-Encoding: chunked\r\n\r\n"));
      byte[] chunk =
          ("10000\r\n" + " ".repeat(65_536) + "\r\n").getBytes(StandardCharsets.US_ASCII);
      ByteArrayOutputStream many = new ByteArrayOutputStream();
      for (int i = 0; i < 16; i++) {
        many.write(chunk);
      }
      int status = Tally.CLOSED;
      try {
        for (int mib = 0; mib < 4096; mib++) {
          socket.send(many.toByteArray());
        }
      } catch (IOException e) {
        status = 413; // it hung up, as it should; its answer may be lost with the connection
      }
      tally.add(status);
    }
  }

  private static void nested(Door door, Tally tally) throws IOException {
    post(door, tally, "{\"messages\": " + "[".repeat(100_000) + "]".repeat(100_000) + "}");
  }

  private static void arrays(Door door, Tally tally) throws IOException {
    post(door, tally, "{\"messages\": [" + "[],".repeat(16 * MIB / 3) + "[]]}");
  }

  private static void longText(Door door, Tally tally) throws IOException {
    post(
        door,
        tally,
        "{\"messages\": [{\"role\": \"user\", \"content\": \""
            + "word ".repeat(16 * MIB / 5)
            + "\"}]}");
  }

  private static void post(Door door, Tally tally, String body) throws IOException {
    try (RawSocket socket = door.open()) {
      byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
      String head = socket.head(CHAT, "Content-Length: " + bytes.length + "\r\n\r\n");
      socket.send(head);
      tally.add(statusAfter(socket, bytes));
    }
  }

  private static void lyingLength(Door door, Tally tally) throws IOException {
    try (RawSocket socket = door.open()) {
      // a body longer than it says: what is too much is no request
      socket.send(socket.head(CHAT, "Content-Length: 5\r\n\r\n"));
      tally.add(statusAfter(socket, "{\"messages\": []}\r\n\r\n".getBytes(StandardCharsets.UTF_8)));
    }
  }

  private static void neverReads(Door door, Tally tally) throws IOException, InterruptedException {
    try (RawSocket socket = door.openSlow()) {
      socket.post(CHAT, door.stream(2000));
      Thread.sleep(door.hold());
      tally.add(socket.status());
    }
  }

  private static void resets(Door door, Tally tally) throws IOException {
    RawSocket socket = door.open();
    socket.post(CHAT, door.stream(2000));
    tally.add(socket.status());
    socket.reset();
  }

  /** The answer, even if the server gives it before it has everything. */
  private static int statusAfter(RawSocket socket, byte[] rest) throws IOException {
    try {
      socket.send(rest);
    } catch (SocketTimeoutException e) {
      throw e;
    } catch (IOException e) {
      // it has stopped listening; what it said may still be there
    }
    try {
      return socket.status();
    } catch (SocketTimeoutException e) {
      throw e;
    } catch (IOException e) {
      return Tally.CLOSED;
    }
  }
}
