package io.tercel.server.grammar;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.node.TextNode;
import java.math.BigDecimal;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Whether a value that is there already satisfies schemas: for enum and const. */
final class ValueCheck {
  private static final int MAX_DEPTH = 64;

  private final SchemaSource source;
  private final Complexity complexity;
  private final Map<ObjectNode, StringSet> strings = new HashMap<>(); // by what a schema says
  private final Map<String, CharDfa> patterns = new HashMap<>();
  private int depth;

  ValueCheck(SchemaSource source, Complexity complexity) {
    this.source = source;
    this.complexity = complexity;
  }

  /** Checks a value against all of them. */
  boolean satisfies(JsonNode value, Conjunction schemas) {
    return !schemas.isImpossible()
        && schemas.parts().stream().allMatch(part -> satisfies(value, part));
  }

  /**
   * Checks one.
   *
   * @throws GrammarException if the schema is malformed or uses what is not supported
   */
  boolean satisfies(JsonNode value, Located at) {
    if (at.schema().isBoolean()) {
      return at.schema().booleanValue();
    }
    if (!(at.schema() instanceof ObjectNode object)) {
      throw new GrammarException(at.path(), "must be a schema: an object or a boolean");
    }
    if (++depth > MAX_DEPTH) {
      throw new GrammarException(at.path(), "nests too deep");
    }
    Located own = at.with(Keywords.assertions(object, at.path()));
    complexity.work(own.schema().size() + 1L);
    boolean fine =
        (!object.has("$ref") || satisfies(value, source.resolve(at)))
            && (!object.has("allOf")
                || Conjunction.members(at, "allOf").stream().allMatch(m -> satisfies(value, m)))
            && listed(value, (ObjectNode) own.schema(), own.path())
            && combined(value, own)
            && (!value.isNumber() || number(value, (ObjectNode) own.schema(), own.path()))
            && (!value.isTextual() || string(value.textValue(), own))
            && (!value.isArray() || array(value, own))
            && (!value.isObject() || object(value, own));
    depth--;
    return fine;
  }

  private boolean listed(JsonNode value, ObjectNode schema, String path) {
    boolean listed = !schema.has("enum");
    for (JsonNode one : schema.path("enum")) {
      complexity.work(1);
      listed = listed || SchemaValues.equal(one, value);
    }
    return listed
        && (!schema.has("const") || SchemaValues.equal(schema.get("const"), value))
        && (!schema.has("type")
            || SchemaValues.types(schema, path).stream().anyMatch(t -> SchemaValues.is(value, t)));
  }

  private boolean combined(JsonNode value, Located at) {
    if (at.schema().has("anyOf") && count(value, at, "anyOf") == 0) {
      return false;
    }
    if (at.schema().has("oneOf") && count(value, at, "oneOf") != 1) {
      return false;
    }
    Located not = Conjunction.member(at, "not");
    if (not != null && satisfies(value, not)) {
      return false;
    }
    Located condition = Conjunction.member(at, "if");
    if (condition == null) {
      return true;
    }
    Located branch = Conjunction.member(at, satisfies(value, condition) ? "then" : "else");
    return branch == null || satisfies(value, branch);
  }

  private long count(JsonNode value, Located at, String keyword) {
    return Conjunction.members(at, keyword).stream().filter(m -> satisfies(value, m)).count();
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

  private boolean string(String value, Located at) {
    ObjectNode key = ((ObjectNode) at.schema()).deepCopy();
    key.retain("minLength", "maxLength", "pattern", "format");
    if (key.isEmpty()) {
      return true;
    }
    StringSet set = strings.get(key);
    if (set == null) {
      set = StringSet.of(Conjunction.of(at.with(key), source), complexity);
      strings.put(key, set);
    }
    return set.contains(value);
  }

  private boolean array(JsonNode value, Located at) {
    ObjectNode schema = (ObjectNode) at.schema();
    int max = SchemaValues.count(schema, "maxItems", at.path(), -1);
    if (value.size() < SchemaValues.count(schema, "minItems", at.path(), 0)
        || (max >= 0 && value.size() > max)) {
      return false;
    }
    for (int i = 0; i < value.size(); i++) {
      Located item = ArrayItems.item(at, i);
      if (item != null && !satisfies(value.get(i), item)) {
        return false;
      }
      for (int k = 0; k < i && schema.has("uniqueItems"); k++) {
        complexity.work(1);
        if (SchemaValues.equal(value.get(i), value.get(k))) {
          return false;
        }
      }
    }
    Located contained = Conjunction.member(at, "contains");
    if (contained == null) {
      return true;
    }
    int count = 0;
    for (JsonNode item : value) {
      count += satisfies(item, contained) ? 1 : 0;
    }
    int most = SchemaValues.count(schema, "maxContains", at.path(), -1);
    return count >= SchemaValues.count(schema, "minContains", at.path(), 1)
        && (most < 0 || count <= most);
  }

  private boolean object(JsonNode value, Located at) {
    ObjectNode schema = (ObjectNode) at.schema();
    int max = SchemaValues.count(schema, "maxProperties", at.path(), -1);
    if (value.size() < SchemaValues.count(schema, "minProperties", at.path(), 0)
        || (max >= 0 && value.size() > max)) {
      return false;
    }
    for (JsonNode name : schema.path("required")) {
      if (!value.has(name.textValue())) {
        return false;
      }
    }
    Located names = Conjunction.member(at, "propertyNames");
    for (Map.Entry<String, JsonNode> entry : value.properties()) {
      if (names != null && !satisfies(TextNode.valueOf(entry.getKey()), names)) {
        return false;
      }
      for (Located its : ObjectFields.schemasOf(at, entry.getKey(), this::matches)) {
        if (!satisfies(entry.getValue(), its)) {
          return false;
        }
      }
    }
    return dependents(value, at);
  }

  private boolean dependents(JsonNode value, Located at) {
    for (String keyword : List.of("dependentRequired", "dependentSchemas", "dependencies")) {
      for (Map.Entry<String, JsonNode> entry : at.schema().path(keyword).properties()) {
        JsonNode its = entry.getValue();
        if (!value.has(entry.getKey())) {
          continue;
        }
        if (!its.isArray()) {
          String path = ".%s.%s".formatted(keyword, entry.getKey());
          if (!satisfies(value, at.child(its, path))) {
            return false;
          }
        }
        for (JsonNode name : its.isArray() ? its : List.<JsonNode>of()) {
          if (!value.has(name.asText())) {
            return false;
          }
        }
      }
    }
    return true;
  }

  private boolean matches(String pattern, String path, String text) {
    @Nullable CharDfa texts = patterns.get(pattern);
    if (texts == null) {
      texts = CharDfa.of(RegexParser.within(pattern, path), complexity);
      patterns.put(pattern, texts);
    }
    return texts.matches(text);
  }
}
