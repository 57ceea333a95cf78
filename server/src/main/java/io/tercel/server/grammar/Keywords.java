package io.tercel.server.grammar;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Map;
import java.util.Set;

/**
 * Which of a schema's keywords say something about values. Others, known or not, are annotations:
 * JSON Schema has them ignored, and only what would change what is valid, and can't be had, is
 * refused.
 */
final class Keywords {
  private static final Set<String> ASSERTIONS =
      Set.of(
          "type",
          "enum",
          "const",
          "properties",
          "required",
          "additionalProperties",
          "patternProperties",
          "propertyNames",
          "minProperties",
          "maxProperties",
          "items",
          "prefixItems",
          "additionalItems",
          "contains",
          "minContains",
          "maxContains",
          "minItems",
          "maxItems",
          "uniqueItems",
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
          "not",
          "if",
          "then",
          "else",
          "dependentRequired",
          "dependentSchemas",
          "dependencies");

  /** Say something about values that rules can't. */
  private static final Set<String> REFUSED =
      Set.of("unevaluatedProperties", "unevaluatedItems", "$dynamicRef", "$recursiveRef");

  private Keywords() {}

  /**
   * A schema's keywords that say something, but {@code $ref} and {@code allOf}.
   *
   * @throws GrammarException if one is malformed, or can't be had
   */
  static ObjectNode assertions(ObjectNode schema, String path) {
    ObjectNode rest = JsonNodeFactory.instance.objectNode();
    for (Map.Entry<String, JsonNode> entry : schema.properties()) {
      String keyword = entry.getKey();
      JsonNode value = entry.getValue();
      boolean harmless = value.isBoolean() && value.booleanValue();
      if (REFUSED.contains(keyword) && !harmless) {
        throw new GrammarException(
            path + "." + keyword, "is a schema keyword that is not supported");
      }
      if (ASSERTIONS.contains(keyword) && !saysNothing(keyword, value)) {
        rest.set(keyword, value);
      }
    }
    exclusive(rest, "exclusiveMinimum", "minimum");
    exclusive(rest, "exclusiveMaximum", "maximum");
    if (rest.has("minContains") || rest.has("maxContains")) {
      if (!rest.has("contains")) {
        rest.remove(Set.of("minContains", "maxContains"));
      }
    }
    if (rest.has("if") ? !rest.has("then") && !rest.has("else") : rest.has("then")) {
      rest.remove(Set.of("if", "then"));
    }
    if (!rest.has("if")) {
      rest.remove("else");
    }
    if (!rest.path("items").isArray()) {
      rest.remove("additionalItems");
    }
    SchemaValues.check(rest, path);
    return rest;
  }

  private static boolean saysNothing(String keyword, JsonNode value) {
    return switch (keyword) {
      case "uniqueItems" -> value.isBoolean() && !value.booleanValue();
      case "format" -> !Formats.isKnown(value.asText());
      default -> false;
    };
  }

  /** Draft 4 says it by a boolean. */
  private static void exclusive(ObjectNode schema, String keyword, String bound) {
    JsonNode value = schema.path(keyword);
    if (!value.isBoolean()) {
      return;
    }
    schema.remove(keyword);
    JsonNode its = schema.get(bound);
    if (value.booleanValue() && its != null) {
      schema.remove(bound);
      schema.set(keyword, its);
    }
  }
}
