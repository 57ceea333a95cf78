package io.tercel.loadtests.data;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;

/**
 * Reads traces: Mooncake's, a JSON object a line with {@code timestamp} in milliseconds, {@code
 * input_length}, {@code output_length} and perhaps {@code hash_ids}; and BurstGPT's, CSV with
 * {@code Timestamp} in seconds, {@code Request tokens} and {@code Response tokens}.
 */
public final class TraceFile {
  private TraceFile() {}

  /**
   * All requests, by time. Those without a prompt or an answer, which failed when the trace was
   * recorded, are left out.
   *
   * @throws DatasetException if a line can't be used (names its number), or there is none
   */
  public static List<TraceLine> read(Path file) throws IOException {
    List<TraceLine> lines = new ArrayList<>();
    try (BufferedReader reader = Files.newBufferedReader(file, StandardCharsets.UTF_8)) {
      boolean csv = String.valueOf(file.getFileName()).toLowerCase(Locale.ROOT).endsWith(".csv");
      Columns columns = csv ? Columns.of(reader.readLine(), file) : null;
      ObjectMapper mapper = new ObjectMapper();
      int number = csv ? 1 : 0;
      for (String text = reader.readLine(); text != null; text = reader.readLine()) {
        number++;
        if (text.isBlank()) {
          continue;
        }
        String where = file + ", line " + number;
        TraceLine line = columns == null ? json(mapper, text, where) : columns.line(text, where);
        if (line.inputTokens() > 0 && line.outputTokens() > 0) {
          lines.add(line);
        }
      }
    }
    if (lines.isEmpty()) {
      throw new DatasetException(
          file
              + ": no requests; expected lines such as"
              + " {\"timestamp\": 0, \"input_length\": 512, \"output_length\": 64}");
    }
    lines.sort(Comparator.comparingDouble(TraceLine::seconds));
    return lines;
  }

  private static TraceLine json(ObjectMapper mapper, String text, String where) {
    JsonNode node;
    try {
      node = mapper.readTree(text);
    } catch (JsonProcessingException e) {
      throw new DatasetException(
          where + ": not JSON from column " + e.getLocation().getColumnNr() + " on", e);
    }
    JsonNode timestamp = node.path("timestamp");
    if (!timestamp.isNumber() || timestamp.asDouble() < 0) {
      throw new DatasetException(
          where + ": timestamp is " + timestamp + "; expected milliseconds, 0 or more");
    }
    List<Long> hashes = new ArrayList<>();
    for (JsonNode hash : node.path("hash_ids")) {
      if (!hash.isIntegralNumber()) {
        throw new DatasetException(where + ": hash_ids has " + hash + "; expected whole numbers");
      }
      hashes.add(hash.asLong());
    }
    return new TraceLine(
        timestamp.asDouble() / 1000,
        length(node, "input_length", where),
        length(node, "output_length", where),
        hashes);
  }

  private static int length(JsonNode node, String field, String where) {
    JsonNode length = node.path(field);
    if (!length.canConvertToInt() || length.asInt() < 0) {
      throw new DatasetException(
          where + ": " + field + " is " + length + "; expected a number of tokens");
    }
    return length.asInt();
  }

  /** Where BurstGPT's columns are. */
  private record Columns(int timestamp, int request, int response) {
    static Columns of(String header, Path file) {
      List<String> names = header == null ? List.of() : List.of(header.split(",", -1));
      Columns columns =
          new Columns(
              names.indexOf("Timestamp"),
              names.indexOf("Request tokens"),
              names.indexOf("Response tokens"));
      if (columns.timestamp < 0 || columns.request < 0 || columns.response < 0) {
        throw new DatasetException(
            file + ", line 1: expected the columns Timestamp, Request tokens and Response tokens");
      }
      return columns;
    }

    TraceLine line(String text, String where) {
      String[] values = text.split(",", -1);
      try {
        return new TraceLine(
            Double.parseDouble(values[timestamp]),
            Integer.parseInt(values[request]),
            Integer.parseInt(values[response]),
            List.of());
      } catch (NumberFormatException | ArrayIndexOutOfBoundsException e) {
        throw new DatasetException(where + ": expected numbers in BurstGPT's columns", e);
      }
    }
  }
}
