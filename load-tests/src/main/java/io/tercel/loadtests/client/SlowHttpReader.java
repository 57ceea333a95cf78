package io.tercel.loadtests.client;

import io.tercel.loadtests.metrics.Failure;
import io.tercel.loadtests.metrics.RequestTrace;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import javax.net.ssl.SSLSocketFactory;
import org.jspecify.annotations.Nullable;

/**
 * A client that reads slowly, over a socket of its own: the JDK's HTTP client would buffer for it.
 * The receive buffer is as small as the system lets it be, so what is not read soon waits at the
 * server.
 */
final class SlowHttpReader {
  private static final int RECEIVE_BUFFER = 4096;
  private static final int CONNECT_MILLIS = 10_000;
  private static final int MAX_ERROR_BYTES = 64 << 10;
  private static final int MAX_LINE = 64 << 10;

  private final URI endpoint;
  private final @Nullable String apiKey;
  private final int bytesPerSecond;
  private final Duration timeout;

  SlowHttpReader(URI endpoint, @Nullable String apiKey, int bytesPerSecond, Duration timeout) {
    this.endpoint = endpoint;
    this.apiKey = apiKey;
    this.bytesPerSecond = bytesPerSecond;
    this.timeout = timeout;
  }

  /** Sends one request and reads its answer, however long that takes. */
  void run(byte[] body, RequestTrace trace) {
    long deadline = System.nanoTime() + timeout.toNanos();
    trace.sent(System.nanoTime());
    try (Socket socket = connect()) {
      OutputStream out = socket.getOutputStream();
      out.write(head(body.length));
      out.write(body);
      out.flush();
      socket.setSoTimeout((int) Math.min(Integer.MAX_VALUE, timeout.toMillis()));
      answer(new PacedInputStream(socket.getInputStream(), bytesPerSecond, deadline), trace);
    } catch (SocketTimeoutException e) {
      trace.failed(
          System.nanoTime(), Failure.timeout("no end after " + timeout.toSeconds() + " s"));
    } catch (IOException e) {
      String message = "the connection broke: " + e;
      trace.failed(
          System.nanoTime(),
          trace.hasTokens() ? Failure.stream(message) : Failure.connection(message));
    }
  }

  private Socket connect() throws IOException {
    boolean secure = "https".equalsIgnoreCase(endpoint.getScheme());
    int port = endpoint.getPort() >= 0 ? endpoint.getPort() : secure ? 443 : 80;
    Socket plain = new Socket();
    try {
      plain.setReceiveBufferSize(RECEIVE_BUFFER); // before connecting: it limits the window
      plain.connect(new InetSocketAddress(endpoint.getHost(), port), CONNECT_MILLIS);
      return secure
          ? ((SSLSocketFactory) SSLSocketFactory.getDefault())
              .createSocket(plain, endpoint.getHost(), port, true)
          : plain;
    } catch (IOException e) {
      plain.close();
      throw e;
    }
  }

  private byte[] head(int length) {
    String query = endpoint.getRawQuery() == null ? "" : "?" + endpoint.getRawQuery();
    String head =
        "POST "
            + endpoint.getRawPath()
            + query
            + " HTTP/1.1\r\n"
            + "Host: "
            + endpoint.getRawAuthority()
            + "\r\n"
            + "Content-Type: application/json\r\nAccept: text/event-stream\r\nConnection: close\r\n"
            + "Content-Length: "
            + length
            + "\r\n"
            + (apiKey == null ? "" : "Authorization: Bearer " + apiKey + "\r\n")
            + "\r\n";
    return head.getBytes(StandardCharsets.ISO_8859_1);
  }

  private static void answer(InputStream in, RequestTrace trace) throws IOException {
    String[] status = line(in).split(" ", 3);
    if (status.length < 2 || !status[1].matches("\\d{3}")) {
      throw new IOException("the answer is not HTTP");
    }
    Map<String, String> headers = new HashMap<>();
    for (String line = line(in); !line.isEmpty(); line = line(in)) {
      int colon = line.indexOf(':');
      if (colon > 0) {
        headers.put(
            line.substring(0, colon).toLowerCase(Locale.ROOT), line.substring(colon + 1).strip());
      }
    }
    InputStream body =
        headers.getOrDefault("transfer-encoding", "").equalsIgnoreCase("chunked")
            ? new ChunkedInputStream(in)
            : in; // Connection: close ends it
    if (!status[1].equals("200")) {
      byte[] error = body.readNBytes(MAX_ERROR_BYTES);
      trace.failed(
          System.nanoTime(),
          Failure.status(
              Integer.parseInt(status[1]),
              HttpTarget.message(new String(error, StandardCharsets.UTF_8)),
              HttpTarget.retryAfter(headers.getOrDefault("retry-after", ""))));
      return;
    }
    CompletionEvents events = new CompletionEvents(trace);
    byte[] buffer = new byte[RECEIVE_BUFFER];
    for (int n = body.read(buffer); n >= 0; n = body.read(buffer)) {
      events.feed(ByteBuffer.wrap(buffer, 0, n), System.nanoTime());
      if (events.isBroken()) {
        break;
      }
    }
    events.end(System.nanoTime());
  }

  /** A line without its end. */
  static String line(InputStream in) throws IOException {
    ByteArrayOutputStream line = new ByteArrayOutputStream();
    for (int b = in.read(); b != '\n'; b = in.read()) {
      if (b < 0) {
        throw new EOFException("the connection ended in a line");
      }
      if (line.size() == MAX_LINE) {
        throw new IOException("a line is longer than " + MAX_LINE + " bytes");
      }
      line.write(b);
    }
    String text = line.toString(StandardCharsets.ISO_8859_1);
    return text.endsWith("\r") ? text.substring(0, text.length() - 1) : text;
  }
}
