package io.tercel.server.grammar;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** What a schema's keywords say about values, read strictly. */
final class SchemaValues {
  private static final List<String> TYPES =
      List.of("object", "array", "string", "integer", "number", "boolean", "null");

  private static final List<String> COUNTS =
      List.of(
          "minItems",
          "maxItems",
          "minLength",
          "maxLength",
          "minProperties",
          "maxProperties",
          "minContains",
          "maxContains");

  private static final Map<String, Set<String>> KEYWORDS_OF =
      Map.of(
          "object",
              Set.of(
                  "properties",
                  "required",
                  "additionalProperties",
                  "patternProperties",
                  "propertyNames",
                  "minProperties",
                  "maxProperties"),
          "array",
              Set.of("items", "prefixItems", "minItems", "maxItems", "contains", "uniqueItems"),
          "string", Set.of("minLength", "maxLength", "pattern", "format"),
          "number",
              Set.of("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"));

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

  /** The type that the keywords are about, where the schemas don't say; empty if none is. */
  static Set<String> impliedType(Conjunction schemas) {
    for (String type : new String[] {"object", "array", "string", "number"}) {
      for (String keyword : KEYWORDS_OF.getOrDefault(type, Set.of())) {
        if (schemas.has(keyword)) {
          return Set.of(type);
        }
      }
    }
    return Set.of();
  }

  /**
   * Refuses keywords of the wrong type.
   *
   * @throws GrammarException that names the keyword
   */
  static void check(ObjectNode schema, String path) {
    lowerBound(schema, path);
    upperBound(schema, path);
    step(schema, path);
    for (String keyword : COUNTS) {
      count(schema, keyword, path, 0);
    }
    JsonNode values = schema.get("enum");
    if (values != null && (!values.isArray() || values.isEmpty())) {
      throw new GrammarException(path + ".enum", "must be an array with at least one value");
    }
    for (JsonNode name : schema.path("required")) {
      if (!name.isTextual()) {
        throw new GrammarException(path + ".required", "must be an array of strings");
      }
    }
  }

  /** The types of both; an integer is a number. */
  static Set<String> common(Set<String> a, Set<String> b) {
    Set<String> both = new LinkedHashSet<>(a);
    both.removeIf(t -> !b.contains(t) && !(t.equals("integer") && b.contains("number")));
    if (a.contains("number") && b.contains("integer")) {
      both.add("integer");
    }
    return both;
  }

  /** The types that a schema names, in a fixed order. */
  static Set<String> types(ObjectNode schema, String path) {
    JsonNode type = schema.path("type");
    Set<String> all = new HashSet<>();
    for (JsonNode one : type.isArray() ? type : List.of(type)) {
      if (!one.isTextual() || !TYPES.contains(one.textValue())) {
        throw new GrammarException(
            path + ".type", "must be one of " + String.join(", ", TYPES) + ", or a list of them");
      }
      all.add(one.textValue());
    }
    if (all.contains("number")) {
      all.remove("integer");
    }
    Set<String> ordered = new LinkedHashSet<>(TYPES);
    ordered.retainAll(all);
    return ordered;
  }

  /** The type that a keyword is about. */
  static String typeOf(String keyword) {
    return KEYWORDS_OF.entrySet().stream()
        .filter(e -> e.getValue().contains(keyword))
        .map(Map.Entry::getKey)
        .findFirst()
        .orElse("object");
  }

  /** The types none of which is a part of another one. */
  static List<String> disjointTypes() {
    return TYPES.stream().filter(t -> !t.equals("integer")).toList();
  }

  /** The one of these that a value has. */
  static String disjointType(JsonNode value) {
    return disjointTypes().stream().filter(t -> is(value, t)).findFirst().orElseThrow();
  }

  /** Whether two values are the same, 1 and 1.0 too. */
  static boolean equal(JsonNode a, JsonNode b) {
    return a.equals((x, y) -> x.equals(y) || sameNumber(x, y) ? 0 : 1, b);
  }

  private static boolean sameNumber(JsonNode a, JsonNode b) {
    return isFinite(a) && isFinite(b) && a.decimalValue().compareTo(b.decimalValue()) == 0;
  }

  /** Whether a schema says anything about the size of numbers. */
  static boolean boundsNumbers(ObjectNode schema) {
    return KEYWORDS_OF.getOrDefault("number", Set.of()).stream().anyMatch(schema::has);
  }

  /** Whether a value is of a type. */
  static boolean is(JsonNode value, String type) {
    return switch (type) {
      case "object" -> value.isObject();
      case "array" -> value.isArray();
      case "string" -> value.isTextual();
      case "integer" -> isFinite(value) && value.decimalValue().stripTrailingZeros().scale() <= 0;
      case "number" -> value.isNumber();
      case "boolean" -> value.isBoolean();
      default -> value.isNull();
    };
  }

  static boolean isFinite(JsonNode value) {
    return value.isNumber()
        && !(value.isFloatingPointNumber()
            && !value.isBigDecimal()
            && !Double.isFinite(value.doubleValue()));
  }

  /** The bounds of an integer. */
  static Bounds bounds(ObjectNode schema, String path) {
    DecimalRange.Bound lower = lowerBound(schema, path);
    DecimalRange.Bound upper = upperBound(schema, path);
    BigDecimal min = BigDecimal.valueOf(-IntegerRange.MAX);
    BigDecimal max = BigDecimal.valueOf(IntegerRange.MAX);
    if (lower != null) {
      BigDecimal least = lower.value().setScale(0, RoundingMode.CEILING);
      boolean isIt = lower.excluded() && least.compareTo(lower.value()) == 0;
      min = min.max(isIt ? least.add(BigDecimal.ONE) : least);
    }
    if (upper != null) {
      BigDecimal most = upper.value().setScale(0, RoundingMode.FLOOR);
      boolean isIt = upper.excluded() && most.compareTo(upper.value()) == 0;
      max = max.min(isIt ? most.subtract(BigDecimal.ONE) : most);
    }
    if (min.compareTo(max) > 0) {
      return new Bounds(1, 0);
    }
    return new Bounds(min.longValueExact(), max.longValueExact());
  }

  /** The bound that minimum and exclusiveMinimum make together, or null. */
  static DecimalRange.@Nullable Bound lowerBound(ObjectNode schema, String path) {
    JsonNode included = number(schema, "minimum", path);
    JsonNode excluded = number(schema, "exclusiveMinimum", path);
    boolean excludes =
        !excluded.isMissingNode()
            && (included.isMissingNode()
                || excluded.decimalValue().compareTo(included.decimalValue()) >= 0);
    return bound(excludes ? excluded : included, excludes);
  }

  /** The bound that maximum and exclusiveMaximum make together, or null. */
  static DecimalRange.@Nullable Bound upperBound(ObjectNode schema, String path) {
    JsonNode included = number(schema, "maximum", path);
    JsonNode excluded = number(schema, "exclusiveMaximum", path);
    boolean excludes =
        !excluded.isMissingNode()
            && (included.isMissingNode()
                || excluded.decimalValue().compareTo(included.decimalValue()) <= 0);
    return bound(excludes ? excluded : included, excludes);
  }

  private static DecimalRange.@Nullable Bound bound(JsonNode node, boolean excluded) {
    return node.isMissingNode() ? null : new DecimalRange.Bound(node.decimalValue(), excluded);
  }

  private static JsonNode number(ObjectNode schema, String keyword, String path) {
    JsonNode node = schema.path(keyword);
    if (!node.isMissingNode() && !isModest(node)) {
      throw new GrammarException(
          path + "." + keyword,
          "must be a number: 0, or one between 1e-30 and 1e30 but for its sign");
    }
    return node;
  }

  /** Whether it is a number that exact arithmetic won't choke on. */
  static boolean isModest(JsonNode node) {
    double size = node.isNumber() ? Math.abs(node.doubleValue()) : Double.NaN;
    return (size >= 1e-30 && size <= 1e30) || (size == 0 && node.decimalValue().signum() == 0);
  }

  /**
   * What whole numbers must be multiples of, 1 if nothing is said: up to {@link
   * IntegerRange#MAX_FACTOR}, times a power of ten.
   */
  static long step(ObjectNode schema, String path) {
    JsonNode node = number(schema, "multipleOf", path);
    if (node.isMissingNode()) {
      return 1;
    }
    BigDecimal factor = node.decimalValue().stripTrailingZeros();
    boolean isWhole = factor.signum() > 0 && factor.scale() <= 0;
    if (!isWhole
        || factor.unscaledValue().bitLength() > 31
        || factor.unscaledValue().intValue() > IntegerRange.MAX_FACTOR
        || factor.compareTo(BigDecimal.valueOf(IntegerRange.MAX)) > 0) {
      throw new GrammarException(
          path + ".multipleOf",
          "must be a whole number from 1 to %d, or such a one with zeros behind it"
              .formatted(IntegerRange.MAX_FACTOR));
    }
    return factor.longValueExact();
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
