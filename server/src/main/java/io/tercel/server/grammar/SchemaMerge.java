package io.tercel.server.grammar;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Resolves references and makes one schema of several that must all hold. */
final class SchemaMerge {
  private static final int MAX_REFERENCES = 64;

  /** Say nothing about values. */
  private static final Set<String> ANNOTATIONS =
      Set.of(
          "title",
          "description",
          "default",
          "example",
          "examples",
          "deprecated",
          "readOnly",
          "writeOnly",
          "discriminator",
          "$schema",
          "$id",
          "$comment",
          "$defs",
          "definitions");

  private static final Set<String> KEYWORDS =
      Set.of(
          "type",
          "enum",
          "const",
          "properties",
          "required",
          "additionalProperties",
          "items",
          "prefixItems",
          "minItems",
          "maxItems",
          "minLength",
          "maxLength",
          "pattern",
          "format",
          "minimum",
          "maximum",
          "exclusiveMinimum",
          "exclusiveMaximum",
          "multipleOf",
          "anyOf",
          "oneOf",
          "allOf",
          "$ref");

  /** Of two bounds the higher one holds. */
  private static final Set<String> LOWER =
      Set.of("minItems", "minLength", "minimum", "exclusiveMinimum");

  private static final Set<String> UPPER =
      Set.of("maxItems", "maxLength", "maximum", "exclusiveMaximum");

  private final JsonNode root;
  private final String rootPath;

  SchemaMerge(JsonNode root, String rootPath) {
    this.root = root;
    this.rootPath = rootPath;
  }

  /** Whether a schema has annotations only. */
  static boolean saysNothing(ObjectNode schema) {
    for (Map.Entry<String, JsonNode> entry : schema.properties()) {
      if (!ANNOTATIONS.contains(entry.getKey())) {
        return false;
      }
    }
    return true;
  }

  /** The same schema without annotations, references and allOf at its top. */
  ObjectNode flat(JsonNode schema, String path) {
    return flat(schema, path, 0);
  }

  private ObjectNode flat(JsonNode schema, String path, int references) {
    if (schema.isBoolean() && schema.booleanValue()) {
      return JsonNodeFactory.instance.objectNode();
    }
    if (!(schema instanceof ObjectNode object)) {
      throw new GrammarException(path, "must be a schema that something satisfies");
    }
    if (references > MAX_REFERENCES) {
      throw new GrammarException(path, "refers to itself with nothing in between");
    }
    ObjectNode rest = JsonNodeFactory.instance.objectNode();
    for (Map.Entry<String, JsonNode> entry : object.properties()) {
      check(entry.getKey(), entry.getValue(), path);
      boolean kept = KEYWORDS.contains(entry.getKey());
      if (kept && !entry.getKey().equals("$ref") && !entry.getKey().equals("allOf")) {
        rest.set(entry.getKey(), entry.getValue());
      }
    }
    JsonNode reference = object.get("$ref");
    if (reference != null) {
      String at = path + ".$ref";
      ObjectNode target = flat(resolve(reference, at), targetPath(reference), references + 1);
      rest = both(target, rest, path);
    }
    JsonNode all = object.get("allOf");
    if (all != null) {
      if (!all.isArray() || all.isEmpty()) {
        throw new GrammarException(path + ".allOf", "must be an array of schemas");
      }
      for (int i = 0; i < all.size(); i++) {
        String itsPath = "%s.allOf[%d]".formatted(path, i);
        rest = both(rest, flat(all.get(i), itsPath, references + 1), itsPath);
      }
    }
    return rest;
  }

  private static void check(String keyword, JsonNode value, String path) {
    boolean harmless = keyword.equals("uniqueItems") && value.isBoolean() && !value.booleanValue();
    if (!KEYWORDS.contains(keyword) && !ANNOTATIONS.contains(keyword) && !harmless) {
      throw new GrammarException(path + "." + keyword, "is a schema keyword that is not supported");
    }
  }

  private JsonNode resolve(JsonNode reference, String path) {
    String text = reference.isTextual() ? reference.textValue() : "";
    JsonNode target = root;
    if (!text.equals("#")) {
      if (!text.startsWith("#/")) {
        throw new GrammarException(
            path, "must be a reference within the schema, such as #/$defs/a");
      }
      for (String raw : text.substring(2).split("/", -1)) {
        String part = unescape(raw, path);
        target =
            target.isArray() && part.matches("[0-9]{1,6}")
                ? target.path(Integer.parseInt(part))
                : target.path(part);
      }
    }
    if (target.isMissingNode()) {
      throw new GrammarException(path, "refers to what is not there");
    }
    return target;
  }

  private static String unescape(String part, String path) {
    try {
      String decoded = URLDecoder.decode(part.replace("+", "%2B"), StandardCharsets.UTF_8);
      return decoded.replace("~1", "/").replace("~0", "~");
    } catch (IllegalArgumentException e) {
      throw new GrammarException(path, "is no reference");
    }
  }

  private String targetPath(JsonNode reference) {
    String text = reference.asText();
    return text.length() < 3 ? rootPath : rootPath + "." + text.substring(2).replace('/', '.');
  }

  /**
   * One schema for what satisfies both; both flat.
   *
   * @throws GrammarException if that takes more than putting keywords together
   */
  ObjectNode both(ObjectNode a, ObjectNode b, String path) {
    ObjectNode all = JsonNodeFactory.instance.objectNode().setAll(a);
    checkClosed(a, b, path);
    checkClosed(b, a, path);
    for (Map.Entry<String, JsonNode> entry : b.properties()) {
      String keyword = entry.getKey();
      JsonNode other = all.get(keyword);
      JsonNode own = entry.getValue();
      if (other == null || other.equals(own)) {
        all.set(keyword, own);
      } else if (keyword.equals("properties") && other.isObject() && own.isObject()) {
        all.set(keyword, properties((ObjectNode) other, (ObjectNode) own));
      } else if (keyword.equals("required") && other.isArray() && own.isArray()) {
        Set<JsonNode> names = new LinkedHashSet<>();
        other.forEach(names::add);
        own.forEach(names::add);
        all.set(keyword, array(names));
      } else if (keyword.equals("type")) {
        all.set(keyword, types(other, own));
      } else if (LOWER.contains(keyword) && other.isNumber() && own.isNumber()) {
        all.set(keyword, other.doubleValue() > own.doubleValue() ? other : own);
      } else if (UPPER.contains(keyword) && other.isNumber() && own.isNumber()) {
        all.set(keyword, other.doubleValue() < own.doubleValue() ? other : own);
      } else {
        throw new GrammarException(
            path + "." + keyword,
            "can't be combined with another " + keyword + " for the same value");
      }
    }
    return all;
  }

  /** What one side forbids or describes by additionalProperties the other must not name. */
  private static void checkClosed(ObjectNode a, ObjectNode b, String path) {
    JsonNode additional = a.get("additionalProperties");
    if (additional == null || (additional.isBoolean() && additional.booleanValue())) {
      return;
    }
    for (Map.Entry<String, JsonNode> property : b.path("properties").properties()) {
      if (!a.path("properties").has(property.getKey())) {
        throw new GrammarException(
            path + ".additionalProperties",
            "can't be combined with properties that stand in another schema for the same value");
      }
    }
  }

  private static ObjectNode properties(ObjectNode a, ObjectNode b) {
    ObjectNode all = JsonNodeFactory.instance.objectNode().setAll(a);
    for (Map.Entry<String, JsonNode> property : b.properties()) {
      JsonNode other = all.get(property.getKey());
      boolean same = other == null || other.equals(property.getValue());
      all.set(
          property.getKey(),
          same
              ? property.getValue()
              : JsonNodeFactory.instance
                  .objectNode()
                  .set("allOf", array(List.of(other, property.getValue()))));
    }
    return all;
  }

  private static ArrayNode types(JsonNode a, JsonNode b) {
    Set<JsonNode> both = new LinkedHashSet<>();
    for (JsonNode x : a.isArray() ? a : List.of(a)) {
      for (JsonNode y : b.isArray() ? b : List.of(b)) {
        if (x.equals(y) || (x.asText().equals("integer") && y.asText().equals("number"))) {
          both.add(x);
        } else if (y.asText().equals("integer") && x.asText().equals("number")) {
          both.add(y);
        }
      }
    }
    return array(both);
  }

  private static ArrayNode array(Iterable<JsonNode> values) {
    ArrayNode array = JsonNodeFactory.instance.arrayNode();
    values.forEach(array::add);
    return array;
  }
}
