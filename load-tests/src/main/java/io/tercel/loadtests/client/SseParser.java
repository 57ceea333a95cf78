package io.tercel.loadtests.client;

import java.nio.ByteBuffer;
import java.util.Arrays;

/**
 * Takes server-sent events out of bytes as they come, cut anywhere; comments and fields other than
 * {@code data} are skipped. One buffer is used again and again.
 */
final class SseParser {
  private static final int MAX_EVENT = 16 << 20;

  /** Takes one event's data: bytes of a buffer that is only valid during the call. */
  interface Sink {
    void event(byte[] buffer, int length);
  }

  private final Sink sink;
  private byte[] event = new byte[512];
  private int length;
  private int lineStart;
  private boolean any;

  SseParser(Sink sink) {
    this.sink = sink;
  }

  /**
   * Takes all bytes.
   *
   * @throws EventTooLongException if an event is longer than 16 MiB
   */
  void feed(ByteBuffer bytes) {
    while (bytes.hasRemaining()) {
      byte b = bytes.get();
      if (b == '\n') {
        endOfLine();
      } else {
        append(b);
      }
    }
  }

  /** The data of the event so far lie before lineStart, the line that is being read behind. */
  private void endOfLine() {
    int end = length > lineStart && event[length - 1] == '\r' ? length - 1 : length;
    if (end == lineStart) {
      if (any) {
        sink.event(event, lineStart);
      }
      length = 0;
      lineStart = 0;
      any = false;
      return;
    }
    length = lineStart;
    if (end - lineStart >= 5
        && event[lineStart] == 'd'
        && event[lineStart + 1] == 'a'
        && event[lineStart + 2] == 't'
        && event[lineStart + 3] == 'a'
        && event[lineStart + 4] == ':') {
      int from = lineStart + 5;
      from += from < end && event[from] == ' ' ? 1 : 0;
      if (any) {
        event[length++] = '\n';
      }
      System.arraycopy(event, from, event, length, end - from);
      length += end - from;
      any = true;
    }
    lineStart = length;
  }

  private void append(byte b) {
    if (length == event.length) {
      if (length >= MAX_EVENT) {
        throw new EventTooLongException();
      }
      event = Arrays.copyOf(event, 2 * length);
    }
    event[length++] = b;
  }

  /** An event has no end. */
  static final class EventTooLongException extends RuntimeException {
    private static final long serialVersionUID = 1;

    EventTooLongException() {
      super("an event is longer than " + MAX_EVENT + " bytes");
    }
  }
}
