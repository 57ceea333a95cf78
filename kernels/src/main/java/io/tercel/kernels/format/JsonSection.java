package io.tercel.kernels.format;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A JSON object of a file, whose fields are read by type and range; every refusal names the file,
 * the field's path, what was found and what is expected. A field that is null counts as absent.
 */
final class JsonSection {
  private static final JsonFactory FACTORY =
      JsonFactory.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .streamReadConstraints(
              StreamReadConstraints.builder()
                  .maxNestingDepth(64)
                  .maxNumberLength(64)
                  .maxNameLength(4096)
                  .maxStringLength(4 << 20)
                  .build())
          .build();
  private static final ObjectMapper MAPPER =
      new ObjectMapper(FACTORY).enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);

  private final Path file;
  private final String prefix;
  private final ObjectNode node;

  private JsonSection(Path file, String prefix, ObjectNode node) {
    this.file = file;
    this.prefix = prefix;
    this.node = node;
  }

  /**
   * Reads a file that must be there.
   *
   * @throws CheckpointException if it is missing, larger than maxBytes, or not a JSON object
   */
  static JsonSection read(Path file, long maxBytes) {
    JsonSection section = readIfPresent(file, maxBytes);
    if (section == null) {
      throw new CheckpointException(file + ": no such file");
    }
    return section;
  }

  /** Reads a file, or answers null if there is none. */
  static @Nullable JsonSection readIfPresent(Path file, long maxBytes) {
    try {
      long size = Files.size(file);
      if (size > maxBytes) {
        throw new CheckpointException(
            "%s: %d bytes; at most %d are expected".formatted(file, size, maxBytes));
      }
      JsonNode root = MAPPER.readTree(utf8(file, Files.readAllBytes(file)));
      if (root instanceof ObjectNode object) {
        return new JsonSection(file, "", object);
      }
      throw new CheckpointException(file + ": not a JSON object");
    } catch (NoSuchFileException e) {
      return null;
    } catch (JsonProcessingException e) {
      throw new CheckpointException(file + ": not valid JSON: " + JsonFault.of(e), e);
    } catch (IOException e) {
      throw new CheckpointException(file + ": unreadable: " + e, e);
    }
  }

  /** A parser with this class's limits: duplicate keys and deep nesting are refused. */
  static JsonParser parser(String json) throws IOException {
    return FACTORY.createParser(json);
  }

  /** Decodes strictly; left to itself Jackson would also guess UTF-16 and UTF-32. */
  static String utf8(Path file, byte[] bytes) {
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
    } catch (CharacterCodingException e) {
      throw new CheckpointException(file + ": its JSON is not UTF-8", e);
    }
  }

  Path file() {
    return file;
  }

  boolean has(String field) {
    return node.hasNonNull(field);
  }

  List<String> fieldNames() {
    List<String> names = new ArrayList<>();
    node.fieldNames().forEachRemaining(names::add);
    return names;
  }

  /** The object under a field, or null if the field is absent. */
  @Nullable JsonSection object(String field) {
    if (!has(field)) {
      return null;
    }
    if (node.get(field) instanceof ObjectNode object) {
      return new JsonSection(file, prefix + field + ".", object);
    }
    throw refuse(field, "an object");
  }

  int requireInt(String field, int min, int max) {
    require(field, "a whole number from " + min + " to " + max);
    return intOr(field, min, max, min);
  }

  int intOr(String field, int min, int max, int absent) {
    if (!has(field)) {
      return absent;
    }
    return intValue(field, node.get(field), min, max);
  }

  private int intValue(String field, JsonNode value, int min, int max) {
    if (!value.isIntegralNumber()
        || !value.canConvertToInt()
        || value.intValue() < min
        || value.intValue() > max) {
      throw refuse(field, "a whole number from " + min + " to " + max);
    }
    return value.intValue();
  }

  /** A list of whole numbers; a single number is a list of one, an absent field an empty one. */
  List<Integer> intsOr(String field, int min, int max, int maxCount) {
    List<Integer> values = new ArrayList<>();
    if (!has(field)) {
      return values;
    }
    JsonNode value = node.get(field);
    if (!value.isArray()) {
      values.add(intValue(field, value, min, max));
      return values;
    }
    if (value.size() > maxCount) {
      throw refuse(field, "at most " + maxCount + " whole numbers");
    }
    for (JsonNode element : value) {
      values.add(intValue(field, element, min, max));
    }
    return values;
  }

  double requireDouble(String field, double min, double max) {
    require(field, "a number from " + min + " to " + max);
    return doubleOr(field, min, max, min);
  }

  double doubleOr(String field, double min, double max, double absent) {
    if (!has(field)) {
      return absent;
    }
    JsonNode value = node.get(field);
    double number = value.doubleValue();
    if (!value.isNumber() || !(number >= min && number <= max)) {
      throw refuse(field, "a number from " + min + " to " + max);
    }
    return number;
  }

  boolean booleanOr(String field, boolean absent) {
    if (!has(field)) {
      return absent;
    }
    if (!node.get(field).isBoolean()) {
      throw refuse(field, "true or false");
    }
    return node.get(field).booleanValue();
  }

  @Nullable String stringOrNull(String field) {
    if (!has(field)) {
      return null;
    }
    if (!node.get(field).isTextual()) {
      throw refuse(field, "a string");
    }
    return node.get(field).textValue();
  }

  /** The strings of an array, or none if the field is absent. */
  List<String> strings(String field) {
    List<String> values = new ArrayList<>();
    if (has(field)) {
      if (!node.get(field).isArray()) {
        throw refuse(field, "an array of strings");
      }
      for (JsonNode element : node.get(field)) {
        if (!element.isTextual()) {
          throw refuse(field, "an array of strings");
        }
        values.add(element.textValue());
      }
    }
    return values;
  }

  private void require(String field, String expected) {
    if (!has(field)) {
      throw new CheckpointException(
          "%s: %s%s is missing; expected %s".formatted(file, prefix, field, expected));
    }
  }

  /** A refusal of what the field holds. */
  CheckpointException refuse(String field, String expected) {
    String found = String.valueOf(node.get(field));
    String shown = found.length() <= 120 ? found : found.substring(0, 120) + "...";
    return new CheckpointException(
        "%s: %s%s is %s; expected %s".formatted(file, prefix, field, shown, expected));
  }
}
