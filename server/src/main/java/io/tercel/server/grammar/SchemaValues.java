package io.tercel.server.grammar;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.Map;
import java.util.Set;

/** What a schema's keywords say about values, read strictly. */
final class SchemaValues {
  private static final Map<String, Set<String>> KEYWORDS_OF =
      Map.of(
          "object", Set.of("properties", "required", "additionalProperties"),
          "array", Set.of("items", "prefixItems", "minItems", "maxItems"),
          "string", Set.of("minLength", "maxLength", "pattern", "format"),
          "number", Set.of("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"));

  private SchemaValues() {}

  /** Whole numbers, both included. */
  record Bounds(long min, long max) {}

  /** How many values a schema consists of, nested ones included. */
  static int size(JsonNode schema) {
    int size = 1;
    for (JsonNode child : schema) {
      size += size(child);
    }
    return size;
  }

  /** The type that the keywords are about, where the schema doesn't say; empty if none is. */
  static Set<String> impliedType(ObjectNode schema) {
    for (String type : new String[] {"object", "array", "string", "number"}) {
      for (String keyword : KEYWORDS_OF.getOrDefault(type, Set.of())) {
        if (schema.has(keyword)) {
          return Set.of(type);
        }
      }
    }
    return Set.of();
  }

  /** Refuses enum and const together with what would have to be checked value by value. */
  static void checkAlone(ObjectNode schema, String path) {
    for (Set<String> keywords : KEYWORDS_OF.values()) {
      for (String keyword : keywords) {
        if (schema.has(keyword)) {
          throw new GrammarException(
              path + "." + keyword, "can't be combined with enum or const here");
        }
      }
    }
  }

  /** Whether a value is of a type. */
  static boolean is(JsonNode value, String type) {
    return switch (type) {
      case "object" -> value.isObject();
      case "array" -> value.isArray();
      case "string" -> value.isTextual();
      case "integer" -> value.isNumber() && value.decimalValue().stripTrailingZeros().scale() <= 0;
      case "number" -> value.isNumber();
      case "boolean" -> value.isBoolean();
      default -> value.isNull();
    };
  }

  /** The bounds of an integer. */
  static Bounds bounds(ObjectNode schema, String path) {
    BigDecimal min = BigDecimal.valueOf(-IntegerRange.MAX);
    BigDecimal max = BigDecimal.valueOf(IntegerRange.MAX);
    for (String keyword : new String[] {"minimum", "exclusiveMinimum"}) {
      JsonNode node = number(schema, keyword, path);
      if (!node.isMissingNode()) {
        BigDecimal least = node.decimalValue().setScale(0, RoundingMode.CEILING);
        boolean excluded = keyword.startsWith("e") && least.compareTo(node.decimalValue()) == 0;
        min = min.max(excluded ? least.add(BigDecimal.ONE) : least);
      }
    }
    for (String keyword : new String[] {"maximum", "exclusiveMaximum"}) {
      JsonNode node = number(schema, keyword, path);
      if (!node.isMissingNode()) {
        BigDecimal most = node.decimalValue().setScale(0, RoundingMode.FLOOR);
        boolean excluded = keyword.startsWith("e") && most.compareTo(node.decimalValue()) == 0;
        max = max.min(excluded ? most.subtract(BigDecimal.ONE) : most);
      }
    }
    if (min.compareTo(max) > 0) {
      return new Bounds(1, 0);
    }
    return new Bounds(min.longValueExact(), max.longValueExact());
  }

  /** Refuses bounds of numbers that need not be whole. */
  static void checkUnbounded(ObjectNode schema, String path) {
    for (String keyword : KEYWORDS_OF.getOrDefault("number", Set.of())) {
      if (schema.has(keyword)) {
        throw new GrammarException(
            path + "." + keyword, "is supported for type integer only, not for number");
      }
    }
  }

  private static JsonNode number(ObjectNode schema, String keyword, String path) {
    JsonNode node = schema.path(keyword);
    boolean huge = node.isNumber() && Math.abs(node.doubleValue()) > 1e30;
    if (!node.isMissingNode() && (!node.isNumber() || huge)) {
      throw new GrammarException(path + "." + keyword, "must be a number, and not beyond 1e30");
    }
    return node;
  }

  /** A count of items or characters; those beyond 2^30 are cut to it. */
  static int count(ObjectNode schema, String keyword, String path, int absent) {
    JsonNode node = schema.path(keyword);
    if (node.isMissingNode()) {
      return absent;
    }
    if (!node.isNumber() || !is(node, "integer") || node.doubleValue() < 0) {
      throw new GrammarException(path + "." + keyword, "must be a whole number, 0 or more");
    }
    return (int) Math.min(node.doubleValue(), 1 << 30);
  }
}
