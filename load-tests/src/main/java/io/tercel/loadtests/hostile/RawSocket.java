package io.tercel.loadtests.hostile;

import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/** A connection that says exactly what it is told to, HTTP or not. */
final class RawSocket implements AutoCloseable {
  private static final int CONNECT_MILLIS = 10_000;
  private static final int SMALL_WINDOW = 4096;

  private final Socket socket = new Socket();
  private final URI server;
  private final @Nullable String apiKey;

  /**
   * Connects.
   *
   * @param slow whether the receive window shall be as small as the system allows
   * @param readMillis how long to wait for an answer
   */
  RawSocket(URI server, @Nullable String apiKey, boolean slow, int readMillis) throws IOException {
    this.server = server;
    this.apiKey = apiKey;
    try {
      if (slow) {
        socket.setReceiveBufferSize(SMALL_WINDOW); // before connecting: it limits the window
      }
      socket.setSoTimeout(readMillis);
      socket.connect(
          new InetSocketAddress(server.getHost(), server.getPort() < 0 ? 80 : server.getPort()),
          CONNECT_MILLIS);
    } catch (IOException e) {
      socket.close();
      throw e;
    }
  }

  /** The head of a POST, without the empty line that ends it. */
  String head(String path, String more) {
    return "POST "
        + path
        + " HTTP/1.1\r\nHost: "
        + server.getRawAuthority()
        + "\r\nContent-Type: application/json\r\n"
        + (apiKey == null ? "" : "Authorization: Bearer " + apiKey + "\r\n")
        + more;
  }

  RawSocket send(String text) throws IOException {
    return send(text.getBytes(StandardCharsets.ISO_8859_1));
  }

  RawSocket send(byte[] bytes) throws IOException {
    socket.getOutputStream().write(bytes);
    return this;
  }

  /** Sends a whole request with this body. */
  RawSocket post(String path, byte[] body) throws IOException {
    return send(head(path, "Content-Length: " + body.length + "\r\n\r\n")).send(body);
  }

  /** The status of the answer; 0 if the server closed without one. */
  int status() throws IOException {
    InputStream in = socket.getInputStream();
    byte[] start = in.readNBytes(12);
    String line = new String(start, StandardCharsets.ISO_8859_1);
    return line.matches("HTTP/1\\.1 \\d{3}") ? Integer.parseInt(line.substring(9)) : 0;
  }

  /** Waits until the server has closed, throwing away what it says; false if it does not. */
  boolean awaitClose() {
    try {
      socket.getInputStream().transferTo(java.io.OutputStream.nullOutputStream());
      return true;
    } catch (java.net.SocketTimeoutException e) {
      return false;
    } catch (IOException e) {
      return true; // a reset is a close too
    }
  }

  /** Leaves with a reset instead of a farewell. */
  void reset() throws IOException {
    socket.setSoLinger(true, 0);
    socket.close();
  }

  @Override
  public void close() throws IOException {
    socket.close();
  }
}
