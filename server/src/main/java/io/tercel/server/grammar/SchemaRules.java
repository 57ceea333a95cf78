package io.tercel.server.grammar;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The rules of one JSON Schema. Each property's and item's schema becomes a rule of its own, so a
 * schema may refer to itself; alternatives are written into the rule that has them, so that they
 * are told apart byte by byte.
 *
 * <p>What the rules say always satisfies the schema. They say less than it allows in a few places,
 * which {@code docs/structured-outputs.md} lists.
 */
final class SchemaRules {
  private static final int MAX_NESTING = 64;
  private static final int MAX_SIZE = 20_000;

  private final Grammar.Builder builder;
  private final JsonRules json;
  private final Unions unions;
  private final SchemaMerge merge;
  private final ValueCheck check;
  private final Map<Subject, Integer> rules = new HashMap<>();
  private final Deque<Pending> pending = new ArrayDeque<>();
  private int nesting;

  /**
   * How many of the schemas being written are alternatives that other keywords may have emptied.
   */
  private int narrowed;

  /** How objects that are alternatives are told apart. */
  enum Unions {
    /** Byte by byte, in the rule that has the union: a text has one place, mostly. */
    INLINE,
    /**
     * By a first property of one or a few given values, behind which a rule goes on that all unions
     * share; objects without one are rules of their own, followed side by side.
     */
    SHARED
  }

  /** What a rule reads: a schema's whole text, or an object's behind its first property. */
  private record Subject(JsonNode schema, boolean isTail) {}

  private record Pending(int rule, Subject subject, String path) {}

  /**
   * @param unions how to write them; both ways have the same texts, until those of more than {@link
   *     TokenAutomaton#MAX_PLACES} readings
   * @param root what references start from
   * @param path of the root
   */
  SchemaRules(Grammar.Builder builder, JsonRules json, Unions unions, JsonNode root, String path) {
    this.builder = builder;
    this.json = json;
    this.unions = unions;
    this.merge = new SchemaMerge(root, path);
    this.check = new ValueCheck(merge, builder);
    if (SchemaValues.size(root) > MAX_SIZE) {
      throw new GrammarException(path, "has more than %d values and names".formatted(MAX_SIZE));
    }
  }

  /** Writes the rules that were named. */
  void finish() {
    while (!pending.isEmpty()) {
      Pending next = pending.remove();
      Nfa nfa = builder.nfa();
      int start = nfa.node();
      JsonNode schema = next.subject().schema();
      int end =
          next.subject().isTail() && schema instanceof ObjectNode object
              ? tail(nfa, start, object, next.path())
              : write(nfa, start, schema, next.path());
      builder.define(next.rule(), nfa, start, end);
    }
  }

  /** Reads a schema's text by a rule of its own. */
  private int call(Nfa nfa, int from, JsonNode schema, String path) {
    if (isAnything(schema)) {
      return json.value(nfa, from);
    }
    builder.work(SchemaValues.size(schema)); // to put it together, and to compare it
    JsonNode same = schema.isObject() ? merge.flat(schema, path) : schema;
    return call(nfa, from, new Subject(same, false), path);
  }

  private int call(Nfa nfa, int from, Subject subject, String path) {
    builder.work(SchemaValues.size(subject.schema()));
    Integer rule = rules.get(subject);
    if (rule == null) {
      rule = builder.declare();
      rules.put(subject, rule);
      pending.add(new Pending(rule, subject, path));
    }
    int to = nfa.node();
    nfa.call(from, rule, to);
    return to;
  }

  private static boolean isAnything(JsonNode schema) {
    return (schema.isBoolean() && schema.booleanValue()) || (schema.isObject() && schema.isEmpty());
  }

  /** Writes a schema of which only the objects are wanted. */
  int writeObjects(Nfa nfa, int from, JsonNode schema, String path) {
    if (isAnything(schema)) {
      return json.anyObject(nfa, from);
    }
    ObjectNode objects = JsonNodeFactory.instance.objectNode().put("type", "object");
    return write(nfa, from, merge.both(merge.flat(schema, path), objects, path), path);
  }

  /**
   * Writes a schema's text from a node on.
   *
   * @return where it ends
   */
  int write(Nfa nfa, int from, JsonNode schema, String path) {
    if (schema.isBoolean()) {
      return schema.booleanValue() ? json.value(nfa, from) : nfa.node();
    }
    if (!(schema instanceof ObjectNode given)) {
      throw new GrammarException(path, "must be a schema: an object or a boolean");
    }
    if (++nesting > MAX_NESTING) {
      throw new GrammarException(
          path, "refers to itself with nothing in between, or nests too deep");
    }
    ObjectNode object = merge.flat(given, path);
    int end = alternatives(nfa, from, object, path);
    nesting--;
    return end;
  }

  private int alternatives(Nfa nfa, int from, ObjectNode schema, String path) {
    for (String key : new String[] {"anyOf", "oneOf"}) {
      JsonNode all = schema.get(key);
      if (all == null) {
        continue;
      }
      if (!all.isArray() || all.isEmpty()) {
        throw new GrammarException(path + "." + key, "must be an array of schemas");
      }
      ObjectNode rest = JsonNodeFactory.instance.objectNode().setAll(schema);
      rest.remove(key);
      boolean alone = SchemaMerge.saysNothing(rest);
      int to = nfa.node();
      for (int i = 0; i < all.size(); i++) {
        String itsPath = "%s.%s[%d]".formatted(path, key, i);
        JsonNode one =
            alone ? all.get(i) : merge.both(merge.flat(all.get(i), itsPath), rest, itsPath);
        int begin = nfa.node();
        nfa.epsilon(from, begin);
        narrowed += alone ? 0 : 1;
        nfa.epsilon(alternative(nfa, begin, one, itsPath), to);
        narrowed -= alone ? 0 : 1;
      }
      return to;
    }
    return SchemaMerge.saysNothing(schema) ? json.value(nfa, from) : plain(nfa, from, schema, path);
  }

  private int alternative(Nfa nfa, int from, JsonNode schema, String path) {
    if (unions == Unions.INLINE || !schema.isObject()) {
      return write(nfa, from, schema, path);
    }
    ObjectNode flat = merge.flat(schema, path);
    boolean isObject = SchemaValues.types(flat, path).equals(Set.of("object"));
    for (String keyword : new String[] {"anyOf", "oneOf", "enum", "const"}) {
      isObject &= !flat.has(keyword);
    }
    if (!isObject) {
      return write(nfa, from, schema, path);
    }
    ObjectFields fields = ObjectFields.of(flat, path);
    Map.Entry<String, JsonNode> first = fields.first();
    if (first == null || !isTag(first.getValue())) {
      return call(nfa, from, new Subject(flat, false), path);
    }
    ObjectRule head = new ObjectRule(json, nfa, from);
    String itsPath = path + ".properties." + first.getKey();
    head.property(first.getKey(), true, n -> write(nfa, n, first.getValue(), itsPath));
    return call(nfa, head.behind(), new Subject(flat, true), path);
  }

  private static boolean isTag(JsonNode schema) {
    return schema.has("const") || schema.has("enum");
  }

  private int plain(Nfa nfa, int from, ObjectNode schema, String path) {
    Set<String> types = SchemaValues.types(schema, path);
    int to = nfa.node();
    List<JsonNode> values = values(schema, path);
    if (values != null) {
      boolean isEmpty = true;
      ObjectNode rest = JsonNodeFactory.instance.objectNode().setAll(schema);
      rest.remove(schema.has("const") ? "const" : "enum"); // where the values are from
      for (JsonNode value : values) {
        if (check.satisfies(value, rest, path)) {
          nfa.epsilon(json.literal(nfa, from, value.toString()), to);
          isEmpty = false;
        }
      }
      return isEmpty ? nothing(nfa, path, "leaves none of its values") : to;
    }
    if (types.isEmpty()) {
      throw new GrammarException(path, "needs a type");
    }
    narrowed += types.size() > 1 ? 1 : 0;
    for (String type : types) {
      int begin = nfa.node();
      nfa.epsilon(from, begin);
      nfa.epsilon(typed(nfa, begin, type, schema, path), to);
    }
    narrowed -= types.size() > 1 ? 1 : 0;
    return to;
  }

  private static @Nullable List<JsonNode> values(ObjectNode schema, String path) {
    JsonNode constant = schema.get("const");
    JsonNode list = schema.get("enum");
    if (list != null && (!list.isArray() || list.isEmpty())) {
      throw new GrammarException(path + ".enum", "must be an array with at least one value");
    }
    if (constant != null) {
      return List.of(constant); // checked against the list as against any keyword
    }
    if (list == null) {
      return null;
    }
    List<JsonNode> all = new ArrayList<>();
    list.forEach(all::add);
    return all;
  }

  private int typed(Nfa nfa, int from, String type, ObjectNode schema, String path) {
    return switch (type) {
      case "object" -> object(nfa, from, schema, path);
      case "array" -> array(nfa, from, schema, path);
      case "string" -> {
        int end = StringRule.write(json, nfa, from, schema, path);
        yield end >= 0 ? end : nothing(nfa, path, "leaves no string");
      }
      case "integer" -> integer(nfa, from, schema, path);
      case "number" -> number(nfa, from, schema, path);
      case "boolean" -> {
        int to = nfa.node();
        nfa.epsilon(json.literal(nfa, from, "true"), to);
        nfa.epsilon(json.literal(nfa, from, "false"), to);
        yield to;
      }
      default -> json.literal(nfa, from, "null");
    };
  }

  private int integer(Nfa nfa, int from, ObjectNode schema, String path) {
    SchemaValues.Bounds bounds = SchemaValues.bounds(schema, path);
    long step = SchemaValues.step(schema, path);
    int end = IntegerRange.write(nfa, from, bounds.min(), bounds.max(), step);
    return end >= 0 ? end : nothing(nfa, path, "leaves no whole number");
  }

  private int number(Nfa nfa, int from, ObjectNode schema, String path) {
    if (schema.has("multipleOf")) {
      return integer(nfa, from, schema, path);
    }
    DecimalRange.Bound min = SchemaValues.lowerBound(schema, path);
    DecimalRange.Bound max = SchemaValues.upperBound(schema, path);
    if (min == null && max == null) {
      return json.number(nfa, from);
    }
    int end =
        DecimalRange.write(
            nfa,
            from,
            min == null ? DecimalRange.LEAST : min,
            max == null ? DecimalRange.GREATEST : max);
    String reason = "leaves no number of up to %d digits".formatted(DecimalRange.MAX_DIGITS);
    return end >= 0 ? end : nothing(nfa, path, reason);
  }

  /** Nothing is left: an error, unless it is one of several alternatives that were narrowed. */
  private int nothing(Nfa nfa, String path, String reason) {
    if (narrowed > 0) {
      return nfa.node();
    }
    throw new GrammarException(path, reason);
  }

  private int object(Nfa nfa, int from, ObjectNode schema, String path) {
    return object(new ObjectRule(json, nfa, from), nfa, ObjectFields.of(schema, path), 0, path);
  }

  /** What follows the first property. */
  private int tail(Nfa nfa, int from, ObjectNode schema, String path) {
    ObjectRule rule = ObjectRule.behindFirst(json, nfa, from);
    return object(rule, nfa, ObjectFields.of(schema, path), 1, path);
  }

  private int object(ObjectRule rule, Nfa nfa, ObjectFields fields, int numWritten, String path) {
    int at = 0;
    for (Map.Entry<String, JsonNode> property : fields.properties().entrySet()) {
      boolean must = fields.required().contains(property.getKey());
      JsonNode its = property.getValue();
      if (at++ >= numWritten && (must || !isNothing(its))) {
        String itsPath = path + ".properties." + property.getKey();
        rule.property(property.getKey(), must, n -> call(nfa, n, its, itsPath));
      }
    }
    JsonNode others = fields.others();
    if (!isNothing(others)) {
      String itsPath = path + ".additionalProperties";
      rule.additional(fields.properties().keySet(), n -> call(nfa, n, others, itsPath));
    }
    return rule.end();
  }

  private static boolean isNothing(JsonNode schema) {
    return schema.isBoolean() && !schema.booleanValue();
  }

  private int array(Nfa nfa, int from, ObjectNode schema, String path) {
    int min = SchemaValues.count(schema, "minItems", path, 0);
    int max = SchemaValues.count(schema, "maxItems", path, -1);
    JsonNode items = schema.get("items");
    if (items != null && items.isArray()) {
      throw new GrammarException(path + ".items", "must be a schema; lists belong in prefixItems");
    }
    ArrayRule rule = new ArrayRule(json, nfa, from);
    JsonNode prefix = schema.get("prefixItems");
    int first = 0;
    if (prefix != null) {
      if (!prefix.isArray()) {
        throw new GrammarException(path + ".prefixItems", "must be an array of schemas");
      }
      for (; first < prefix.size() && (max < 0 || first < max); first++) {
        JsonNode one = prefix.get(first);
        String itsPath = "%s.prefixItems[%d]".formatted(path, first);
        rule.item(n -> call(nfa, n, one, itsPath), first >= min);
      }
    }
    boolean more = items == null ? prefix == null || min > first : !isNothing(items);
    if (!more) {
      return rule.rest(n -> nfa.node(), min, Math.max(first, min));
    }
    JsonNode rest = items == null ? JsonNodeFactory.instance.booleanNode(true) : items;
    if (max >= 0 && max < min) {
      return nothing(nfa, path, "leaves no array");
    }
    return rule.rest(n -> call(nfa, n, rest, path + ".items"), min, max);
  }
}
