package io.tercel.kernels.format;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * The header of a safetensors file: an 8-byte length N, N bytes of JSON, then the data that the
 * JSON's offsets count from.
 *
 * <p>It is read as a stream of tokens, so memory is bounded by the number of tensors and not by
 * what the JSON claims. Duplicate names, unknown types, spans that differ from the shape's bytes,
 * holes and overlaps are all refused.
 */
final class SafetensorsHeader {
  static final long MAX_HEADER_BYTES = 100_000_000;
  static final int MAX_TENSORS = 100_000;
  private static final int MAX_RANK = 8;

  /** One tensor's entry; its data is [begin, end) of the bytes after the header. */
  record Entry(String name, DType dtype, List<Long> shape, long begin, long end) {}

  private final Path file;
  private final JsonParser json;
  private final List<Entry> entries = new ArrayList<>();

  private SafetensorsHeader(Path file, JsonParser json) {
    this.file = file;
    this.json = json;
  }

  /**
   * Parses and checks the JSON.
   *
   * @param bytes the header without its length
   * @return the entries in the order of their data, without holes from 0 on
   * @throws CheckpointException for anything that breaks the format
   */
  static List<Entry> parse(Path file, byte[] bytes) {
    if (bytes.length == 0 || bytes[0] != '{') {
      throw new CheckpointException(file + ": its header is not a JSON object");
    }
    try (JsonParser json = JsonSection.parser(JsonSection.utf8(file, bytes))) {
      SafetensorsHeader header = new SafetensorsHeader(file, json);
      header.readTensors();
      header.checkLayout();
      return header.entries;
    } catch (JsonProcessingException e) {
      throw new CheckpointException(file + ": its header is not valid JSON: " + JsonFault.of(e), e);
    } catch (IOException e) {
      throw new CheckpointException(file + ": its header is unreadable: " + e.getMessage(), e);
    }
  }

  private void readTensors() throws IOException {
    expect(json.nextToken(), JsonToken.START_OBJECT, "header", "a JSON object");
    while (json.nextToken() != JsonToken.END_OBJECT) {
      String name = json.currentName();
      json.nextToken();
      if (name.equals("__metadata__")) {
        readMetadata();
      } else if (entries.size() == MAX_TENSORS) {
        throw new CheckpointException(
            file + ": its header lists more than " + MAX_TENSORS + " tensors");
      } else {
        entries.add(readEntry(name));
      }
    }
    if (json.nextToken() != null) {
      throw new CheckpointException(file + ": its header goes on after its JSON object");
    }
  }

  private void readMetadata() throws IOException {
    expect(json.currentToken(), JsonToken.START_OBJECT, "__metadata__", "an object of strings");
    while (json.nextToken() != JsonToken.END_OBJECT) {
      expect(json.nextToken(), JsonToken.VALUE_STRING, "__metadata__", "an object of strings");
    }
  }

  private Entry readEntry(String name) throws IOException {
    String what = "tensor " + name;
    expect(json.currentToken(), JsonToken.START_OBJECT, what, "an object");
    DType dtype = null;
    List<Long> shape = null;
    List<Long> offsets = null;
    while (json.nextToken() != JsonToken.END_OBJECT) {
      String field = json.currentName();
      json.nextToken();
      switch (field) {
        case "dtype" -> dtype = readType(what);
        case "shape" -> shape = readLongs(what, "shape");
        case "data_offsets" -> offsets = readLongs(what, "data_offsets");
        default -> throw refuse(what + " has an unknown field " + field);
      }
    }
    if (dtype == null || shape == null || offsets == null) {
      String missing = dtype == null ? "dtype" : shape == null ? "shape" : "data_offsets";
      throw refuse(what + " has no " + missing);
    }
    if (offsets.size() != 2 || offsets.get(0) > offsets.get(1)) {
      throw refuse(what + " has data_offsets " + offsets + "; expected [begin, end]");
    }
    long begin = offsets.get(0);
    long end = offsets.get(1);
    long bytes = bytesOf(what, dtype, shape);
    if (end - begin != bytes) {
      throw refuse(
          what + " spans %d bytes, but %s %s takes %d".formatted(end - begin, dtype, shape, bytes));
    }
    return new Entry(name, dtype, List.copyOf(shape), begin, end);
  }

  private DType readType(String what) throws IOException {
    expect(json.currentToken(), JsonToken.VALUE_STRING, what + " dtype", "a string");
    DType type = DType.byName(json.getText());
    if (type == null) {
      throw refuse(what + " has the unknown dtype " + json.getText());
    }
    return type;
  }

  private List<Long> readLongs(String what, String field) throws IOException {
    String expected = "an array of at most " + MAX_RANK + " whole numbers";
    expect(json.currentToken(), JsonToken.START_ARRAY, what + " " + field, expected);
    List<Long> values = new ArrayList<>();
    while (json.nextToken() != JsonToken.END_ARRAY) {
      expect(json.currentToken(), JsonToken.VALUE_NUMBER_INT, what + " " + field, expected);
      long value = json.getLongValue();
      if (value < 0 || values.size() == MAX_RANK) {
        throw refuse(
            "%s %s has %d as value %d; expected %s"
                .formatted(what, field, value, values.size() + 1, expected));
      }
      values.add(value);
    }
    return values;
  }

  private long bytesOf(String what, DType dtype, List<Long> shape) {
    try {
      long bytes = dtype.bytes();
      for (long dim : shape) {
        bytes = Math.multiplyExact(bytes, dim);
      }
      return bytes;
    } catch (ArithmeticException e) {
      throw new CheckpointException(file + ": " + what + " has the absurd shape " + shape, e);
    }
  }

  /** Sorts the entries by offset; each must begin where the one before it ends. */
  private void checkLayout() {
    entries.sort(Comparator.comparingLong(Entry::begin).thenComparingLong(Entry::end));
    long end = 0;
    for (Entry entry : entries) {
      if (entry.begin() != end) {
        throw refuse(
            "tensor %s begins at %d, %s"
                .formatted(
                    entry.name(),
                    entry.begin(),
                    entry.begin() < end
                        ? "inside the tensor before it, which ends at " + end
                        : "leaving a hole after " + end));
      }
      end = entry.end();
    }
  }

  private void expect(JsonToken found, JsonToken wanted, String what, String expected) {
    if (found != wanted) {
      throw refuse(what + " is " + (found == null ? "missing" : found) + "; expected " + expected);
    }
  }

  private CheckpointException refuse(String problem) {
    return new CheckpointException(file + ": " + problem);
  }
}
