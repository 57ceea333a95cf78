package io.tercel.server.grammar;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.math.BigDecimal;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Whether a value that is there already satisfies a schema: for enum and const. */
final class ValueCheck {
  private static final int MAX_DEPTH = 64;

  private final SchemaMerge merge;
  private final Grammar.Builder builder;
  private final Map<List<JsonNode>, CharGraph> graphs = new HashMap<>(); // by pattern and format
  private int depth;

  /**
   * @param merge resolves references
   * @param builder is asked for the work
   */
  ValueCheck(SchemaMerge merge, Grammar.Builder builder) {
    this.merge = merge;
    this.builder = builder;
  }

  /**
   * Checks one.
   *
   * @throws GrammarException if the schema is malformed or uses what is not supported
   */
  boolean satisfies(JsonNode value, JsonNode schema, String path) {
    if (schema.isBoolean()) {
      return schema.booleanValue();
    }
    if (++depth > MAX_DEPTH) {
      throw new GrammarException(path, "nests too deep");
    }
    ObjectNode flat = merge.flat(schema, path);
    builder.work(SchemaValues.size(flat));
    boolean fine =
        type(value, flat, path)
            && listed(value, flat)
            && any(value, flat, "anyOf", path)
            && any(value, flat, "oneOf", path)
            && (!value.isNumber() || number(value, flat, path))
            && (!value.isTextual() || string(value.textValue(), flat, path))
            && (!value.isArray() || array(value, flat, path))
            && (!value.isObject() || object(value, flat, path));
    depth--;
    return fine;
  }

  private static boolean type(JsonNode value, ObjectNode schema, String path) {
    return !schema.has("type")
        || SchemaValues.types(schema, path).stream().anyMatch(t -> SchemaValues.is(value, t));
  }

  private static boolean listed(JsonNode value, ObjectNode schema) {
    boolean listed = !schema.has("enum");
    for (JsonNode one : schema.path("enum")) {
      listed |= SchemaValues.equal(one, value);
    }
    return listed && (!schema.has("const") || SchemaValues.equal(schema.get("const"), value));
  }

  private boolean any(JsonNode value, ObjectNode schema, String keyword, String path) {
    JsonNode all = schema.get(keyword);
    if (all == null) {
      return true;
    }
    for (int i = 0; i < all.size(); i++) {
      if (satisfies(value, all.get(i), "%s.%s[%d]".formatted(path, keyword, i))) {
        return true;
      }
    }
    return false;
  }

  private static boolean number(JsonNode value, ObjectNode schema, String path) {
    boolean isBound = SchemaValues.boundsNumbers(schema);
    if (isBound ? !SchemaValues.isModest(value) : !SchemaValues.isFinite(value)) {
      throw new GrammarException(path, "has an enum or const with a number beyond 1e-30 to 1e30");
    }
    if (!isBound) {
      return true;
    }
    BigDecimal number = value.decimalValue();
    DecimalRange.Bound min = SchemaValues.lowerBound(schema, path);
    DecimalRange.Bound max = SchemaValues.upperBound(schema, path);
    BigDecimal step = BigDecimal.valueOf(SchemaValues.step(schema, path));
    return (min == null || number.compareTo(min.value()) >= (min.excluded() ? 1 : 0))
        && (max == null || number.compareTo(max.value()) <= (max.excluded() ? -1 : 0))
        && (!schema.has("multipleOf") || number.remainder(step).signum() == 0);
  }

  private boolean string(String value, ObjectNode schema, String path) {
    int length = value.codePointCount(0, value.length());
    int max = SchemaValues.count(schema, "maxLength", path, -1);
    if (length < SchemaValues.count(schema, "minLength", path, 0) || (max >= 0 && length > max)) {
      return false;
    }
    List<JsonNode> key = List.of(schema.path("pattern"), schema.path("format"));
    CharGraph graph = graphs.get(key);
    if (graph == null) {
      Regex regex = StringRule.regex(schema, path);
      if (regex == null) {
        return true;
      }
      graph = new CharGraph(regex, builder.complexity());
      graphs.put(key, graph);
    }
    return graph.matches(value);
  }

  private boolean array(JsonNode value, ObjectNode schema, String path) {
    int max = SchemaValues.count(schema, "maxItems", path, -1);
    if (value.size() < SchemaValues.count(schema, "minItems", path, 0)
        || (max >= 0 && value.size() > max)) {
      return false;
    }
    for (int i = 0; i < value.size(); i++) {
      JsonNode prefix = schema.path("prefixItems").get(i);
      JsonNode its = prefix == null ? schema.get("items") : prefix;
      if (its != null && !satisfies(value.get(i), its, path + ".items")) {
        return false;
      }
    }
    return true;
  }

  private boolean object(JsonNode value, ObjectNode schema, String path) {
    for (JsonNode name : schema.has("required") ? schema.get("required") : List.<JsonNode>of()) {
      if (!value.has(name.asText())) {
        return false;
      }
    }
    for (var entry : value.properties()) {
      JsonNode property = schema.path("properties").get(entry.getKey());
      JsonNode its = property == null ? schema.get("additionalProperties") : property;
      String itsPath = path + ".properties." + entry.getKey();
      if (its != null && !satisfies(entry.getValue(), its, itsPath)) {
        return false;
      }
    }
    return true;
  }
}
