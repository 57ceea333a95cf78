package io.tercel.server.request;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.server.call.ApiException;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Reads the fields of a JSON object strictly: what has a wrong type or is out of range becomes an
 * {@link ApiException} that names the field by its path, such as {@code messages[2].content}. A
 * null field counts as an absent one, as the SDKs send it.
 */
public final class RequestFields {
  /** As a limit, says that there is none but the type's own. */
  public static final double UNBOUNDED = Float.MAX_VALUE;

  private final ObjectNode object;
  private final String prefix;

  /** Of a request's top level. */
  public RequestFields(ObjectNode object) {
    this(object, "");
  }

  private RequestFields(ObjectNode object, String prefix) {
    this.object = object;
    this.prefix = prefix;
  }

  /** Of a nested object. */
  public static RequestFields of(JsonNode node, String path) {
    if (node instanceof ObjectNode object) {
      return new RequestFields(object, path + ".");
    }
    throw wrongType(path, "an object", node);
  }

  public ObjectNode object() {
    return object;
  }

  public String path(String name) {
    return prefix + name;
  }

  public @Nullable JsonNode get(String name) {
    JsonNode node = object.get(name);
    return node == null || node.isNull() ? null : node;
  }

  public boolean has(String name) {
    return get(name) != null;
  }

  public JsonNode require(String name) {
    JsonNode node = get(name);
    if (node == null) {
      throw ApiException.missing(path(name));
    }
    return node;
  }

  public @Nullable String string(String name) {
    JsonNode node = get(name);
    return node == null ? null : string(node, path(name));
  }

  public static String string(JsonNode node, String path) {
    if (!node.isTextual()) {
      throw wrongType(path, "a string", node);
    }
    return node.textValue();
  }

  public boolean bool(String name, boolean absent) {
    JsonNode node = get(name);
    if (node == null) {
      return absent;
    }
    if (!node.isBoolean()) {
      throw wrongType(path(name), "a boolean", node);
    }
    return node.booleanValue();
  }

  public int integer(String name, int absent, int min, int max) {
    JsonNode node = get(name);
    return node == null ? absent : integer(node, path(name), min, max);
  }

  public static int integer(JsonNode node, String path, int min, int max) {
    return (int) integer(node, path, (long) min, (long) max);
  }

  public static long integer(JsonNode node, String path, long min, long max) {
    boolean whole =
        node.isIntegralNumber()
            || (node.isFloatingPointNumber()
                && node.doubleValue() == Math.rint(node.doubleValue()));
    if (!whole) {
      throw wrongType(path, "an integer", node);
    }
    boolean fits = node.isIntegralNumber() ? node.canConvertToLong() : isExact(node.doubleValue());
    long value = node.longValue();
    if (!fits || value < min || value > max) {
      throw outOfRange(path, min, max, Long.MIN_VALUE, Long.MAX_VALUE, node);
    }
    return value;
  }

  /** Whole numbers that a double holds exactly; larger ones were not meant. */
  private static boolean isExact(double value) {
    return Math.abs(value) <= 1L << 53;
  }

  public float number(String name, float absent, double min, double max) {
    JsonNode node = get(name);
    return node == null ? absent : number(node, path(name), min, max);
  }

  public static float number(JsonNode node, String path, double min, double max) {
    if (!node.isNumber()) {
      throw wrongType(path, "a number", node);
    }
    double value = node.doubleValue();
    if (!(value >= min && value <= max)) {
      throw outOfRange(path, min, max, -UNBOUNDED, UNBOUNDED, node);
    }
    return (float) value;
  }

  public @Nullable ArrayNode array(String name) {
    JsonNode node = get(name);
    if (node == null) {
      return null;
    }
    if (node instanceof ArrayNode array) {
      return array;
    }
    throw wrongType(path(name), "an array", node);
  }

  public @Nullable RequestFields fields(String name) {
    JsonNode node = get(name);
    return node == null ? null : of(node, path(name));
  }

  /** A string or a list of strings, as a list. */
  public List<String> strings(String name, int maxSize) {
    JsonNode node = get(name);
    if (node == null) {
      return List.of();
    }
    if (node.isTextual()) {
      return List.of(node.textValue());
    }
    if (!node.isArray()) {
      throw wrongType(path(name), "a string or an array of strings", node);
    }
    requireSize(node, path(name), maxSize);
    List<String> all = new ArrayList<>();
    for (int i = 0; i < node.size(); i++) {
      all.add(string(node.get(i), path(name) + "[" + i + "]"));
    }
    return all;
  }

  public static void requireSize(JsonNode array, String path, int maxSize) {
    if (array.size() > maxSize) {
      throw ApiException.invalid(
          path, "%s may have at most %d entries, not %d".formatted(path, maxSize, array.size()));
    }
  }

  public static ApiException wrongType(String path, String wanted, JsonNode got) {
    String message = "%s must be %s, not %s".formatted(path, wanted, typeOf(got));
    return ApiException.invalid(path, message);
  }

  /** Names the bound that was passed, or both where the type's own are not among them. */
  private static ApiException outOfRange(
      String path, Number min, Number max, Number lowest, Number highest, JsonNode got) {
    double value = got.doubleValue();
    String range;
    if (!min.equals(lowest) && !max.equals(highest)) {
      range = "between %s and %s".formatted(plain(min), plain(max));
    } else if (value < min.doubleValue()) {
      range = "at least " + plain(min);
    } else if (value > 0) { // at a long's bounds a double can't tell how far
      range = "at most " + plain(max);
    } else {
      range = Double.isNaN(value) ? "a number" : "at least " + plain(min);
    }
    return ApiException.invalid(path, "%s must be %s, not %s".formatted(path, range, shown(got)));
  }

  private static String shown(JsonNode number) {
    if (number.isFloatingPointNumber() && Double.isInfinite(number.doubleValue())) {
      return number.doubleValue() > 0 ? "a larger number" : "a smaller number"; // than a double's
    }
    String value = number.asText();
    return value.length() > 40 ? value.substring(0, 40) + "…" : value;
  }

  private static String plain(Number number) {
    if (!(number instanceof Double d)) {
      return number.toString();
    }
    return Math.abs(d) < 1e9
        ? BigDecimal.valueOf(d).stripTrailingZeros().toPlainString()
        : Float.toString(d.floatValue()); // the type's own bound
  }

  private static String typeOf(JsonNode node) {
    return switch (node.getNodeType()) {
      case ARRAY -> "an array";
      case OBJECT -> "an object";
      case STRING -> "a string";
      case BOOLEAN -> "a boolean";
      case NULL -> "null";
      case NUMBER -> node.isIntegralNumber() ? "an integer" : "a number";
      default -> node.getNodeType().name().toLowerCase(Locale.ROOT);
    };
  }
}
