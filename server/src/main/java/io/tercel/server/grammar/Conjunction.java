package io.tercel.server.grammar;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Schemas that must all hold for one value, the references and {@code allOf} among them resolved.
 * They are kept side by side, because some keywords speak of their neighbours: {@code items} of the
 * {@code prefixItems} of its own schema, {@code additionalProperties} of its own {@code
 * properties}. Immutable; equal if they are the same schemas.
 */
final class Conjunction {
  private static final int MAX_REFERENCES = 64;

  /** Of two bounds the higher one holds. */
  private static final Set<String> LOWER =
      Set.of("minItems", "minLength", "minProperties", "minimum", "exclusiveMinimum");

  private static final Set<String> UPPER =
      Set.of("maxItems", "maxLength", "maxProperties", "maximum", "exclusiveMaximum");

  private final SchemaSource source;
  private final String path;
  private final Set<Located> parts;
  private final boolean impossible;

  private Conjunction(SchemaSource source, String path, Set<Located> parts, boolean impossible) {
    this.source = source;
    this.path = path;
    this.parts = parts;
    this.impossible = impossible;
  }

  /** Any value at all. */
  static Conjunction anything(SchemaSource source, String path) {
    return new Conjunction(source, path, Set.of(), false);
  }

  /**
   * What satisfies a schema.
   *
   * @throws GrammarException if it is malformed, or has a keyword that can't be had
   */
  static Conjunction of(Located schema, SchemaSource source) {
    return anything(source, schema.path()).and(schema);
  }

  /** What satisfies a schema, too. */
  Conjunction and(Located schema) {
    Set<Located> all = new LinkedHashSet<>(parts);
    boolean possible = expand(schema, all, 0);
    return new Conjunction(source, path, all, impossible || !possible);
  }

  /** The same with another schema in the place of one. */
  Conjunction replace(Located part, ObjectNode other) {
    Set<Located> all = new LinkedHashSet<>();
    for (Located one : parts) {
      if (!one.equals(part)) {
        all.add(one);
      } else if (!other.isEmpty()) {
        all.add(part.with(other));
      }
    }
    return new Conjunction(source, path, all, impossible);
  }

  /** The same for refusals that name another place. */
  Conjunction at(String otherPath) {
    return new Conjunction(source, otherPath, parts, impossible);
  }

  private boolean expand(Located schema, Set<Located> all, int depth) {
    if (schema.schema().isBoolean()) {
      return schema.schema().booleanValue();
    }
    if (!(schema.schema() instanceof ObjectNode object)) {
      throw new GrammarException(schema.path(), "must be a schema: an object or a boolean");
    }
    if (depth > MAX_REFERENCES) {
      throw new GrammarException(schema.path(), "refers to itself with nothing in between");
    }
    boolean possible = true;
    ObjectNode own = Keywords.assertions(object, schema.path());
    if (!own.isEmpty()) {
      all.add(schema.with(own));
    }
    if (object.has("$ref")) {
      possible &= expand(source.resolve(schema), all, depth + 1);
    }
    JsonNode allOf = object.get("allOf");
    if (allOf != null) {
      List<Located> members = members(schema, "allOf");
      for (Located member : members) {
        possible &= expand(member, all, depth + 1);
      }
    }
    return possible;
  }

  /** The schemas in a keyword's array, one or more. */
  static List<Located> members(Located schema, String keyword) {
    JsonNode array = schema.schema().path(keyword);
    if (!array.isArray() || array.isEmpty()) {
      throw new GrammarException(schema.path() + "." + keyword, "must be an array of schemas");
    }
    List<Located> members = new ArrayList<>();
    for (int i = 0; i < array.size(); i++) {
      members.add(schema.child(array.get(i), ".%s[%d]".formatted(keyword, i)));
    }
    return members;
  }

  /** The schema in a keyword, or null. */
  static @Nullable Located member(Located schema, String keyword) {
    JsonNode its = schema.schema().get(keyword);
    return its == null ? null : schema.child(its, "." + keyword);
  }

  /** The schemas in a keyword's object by their names; none if the keyword is not there. */
  static Map<String, Located> named(Located schema, String keyword) {
    JsonNode object = schema.schema().get(keyword);
    Map<String, Located> all = new LinkedHashMap<>();
    if (object == null) {
      return all;
    }
    if (!object.isObject()) {
      throw new GrammarException(schema.path() + "." + keyword, "must be an object of schemas");
    }
    for (Map.Entry<String, JsonNode> entry : object.properties()) {
      String its = ".%s.%s".formatted(keyword, entry.getKey());
      all.put(entry.getKey(), schema.child(entry.getValue(), its));
    }
    return all;
  }

  SchemaSource source() {
    return source;
  }

  String path() {
    return path;
  }

  Set<Located> parts() {
    return parts;
  }

  /** Whether some schema is satisfied by nothing. */
  boolean isImpossible() {
    return impossible;
  }

  boolean isAnything() {
    return !impossible && parts.isEmpty();
  }

  boolean has(String keyword) {
    return parts.stream().anyMatch(p -> p.schema().has(keyword));
  }

  /** How many values the schemas consist of. */
  int size() {
    return parts.stream().mapToInt(p -> SchemaValues.size(p.schema())).sum() + 1;
  }

  /** The types that all schemas name; null if none names any. */
  @Nullable Set<String> namedTypes() {
    Set<String> types = null;
    for (Located part : parts) {
      if (part.schema() instanceof ObjectNode its && its.has("type")) {
        Set<String> more = SchemaValues.types(its, part.path());
        types = types == null ? more : SchemaValues.common(types, more);
      }
    }
    return types;
  }

  /** The types that are written: where none is named the keywords imply one. */
  Set<String> types() {
    Set<String> types = namedTypes();
    return types == null ? SchemaValues.impliedType(this) : types;
  }

  /** The values that are listed, of which some may not satisfy the rest; null if none are. */
  @Nullable List<JsonNode> values() {
    Located part = listing();
    if (part == null) {
      return null;
    }
    JsonNode constant = part.schema().get("const");
    List<JsonNode> values = new ArrayList<>();
    (constant == null ? part.schema().path("enum") : List.of(constant)).forEach(values::add);
    return values;
  }

  /** What the listed values have still to satisfy. */
  Conjunction withoutValues() {
    Located part = listing();
    if (part == null) {
      return this;
    }
    ObjectNode rest = ((ObjectNode) part.schema()).objectNode();
    rest.setAll((ObjectNode) part.schema());
    rest.remove(rest.has("const") ? "const" : "enum");
    return replace(part, rest);
  }

  /** The schema that lists the fewest values, or null. */
  private @Nullable Located listing() {
    Located fewest = null;
    int size = Integer.MAX_VALUE;
    for (Located part : parts) {
      int its = part.schema().has("const") ? 1 : part.schema().path("enum").size();
      if (its > 0 && its < size) {
        fewest = part;
        size = its;
      }
    }
    return fewest;
  }

  /**
   * The bounds of numbers, lengths and counts of all schemas as those of one.
   *
   * @throws GrammarException if two factors have none in common that can be had
   */
  ObjectNode limits() {
    ObjectNode all = JsonNodeFactory.instance.objectNode();
    for (Located part : parts) {
      for (Map.Entry<String, JsonNode> entry : part.schema().properties()) {
        String keyword = entry.getKey();
        JsonNode own = entry.getValue();
        JsonNode other = all.get(keyword);
        if (LOWER.contains(keyword) || UPPER.contains(keyword)) {
          boolean wins =
              other == null
                  || (own.decimalValue().compareTo(other.decimalValue()) > 0)
                      == LOWER.contains(keyword);
          all.set(keyword, wins ? own : other);
        } else if (keyword.equals("multipleOf")) {
          all.set(keyword, other == null ? own : commonMultiple(other, own));
        }
      }
    }
    SchemaValues.check(all, path);
    return all;
  }

  private static JsonNode commonMultiple(JsonNode a, JsonNode b) {
    BigInteger x = a.decimalValue().toBigIntegerExact();
    BigInteger y = b.decimalValue().toBigIntegerExact();
    return JsonNodeFactory.instance.numberNode(x.multiply(y).divide(x.gcd(y)));
  }

  /** The names that some schema requires. */
  Set<String> required() {
    Set<String> names = new LinkedHashSet<>();
    for (Located part : parts) {
      for (JsonNode name : part.schema().path("required")) {
        names.add(name.textValue());
      }
    }
    return names;
  }

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof Conjunction c && c.impossible == impossible && c.parts.equals(parts);
  }

  @Override
  public int hashCode() {
    return parts.hashCode();
  }
}
