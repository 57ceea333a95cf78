package io.tercel.server.client;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/** Reads server-sent events: the data of one after another, comments and other fields skipped. */
final class SseReader {
  private static final int MAX_EVENT = 16 << 20;

  private final BufferedReader lines;

  SseReader(InputStream body) {
    this.lines = new BufferedReader(new InputStreamReader(body, StandardCharsets.UTF_8));
  }

  /** The next event's data; null at the stream's end, where an unfinished event is dropped. */
  @Nullable String next() throws IOException {
    StringBuilder data = new StringBuilder();
    boolean any = false;
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      if (line.isEmpty()) {
        if (any) {
          return data.toString();
        }
      } else if (line.startsWith("data:")) {
        data.append(any ? "\n" : "").append(line, line.startsWith("data: ") ? 6 : 5, line.length());
        any = true;
        if (data.length() > MAX_EVENT) {
          throw new IOException("an event is longer than " + MAX_EVENT + " characters");
        }
      }
    }
    return null;
  }
}
