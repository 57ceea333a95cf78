package io.tercel.server.grammar;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.TextNode;
import java.math.BigDecimal;
import java.util.List;
import java.util.regex.Pattern;

/** Says whether a value satisfies a schema, straight from the specification, for tests. */
final class TinyValidator {
  private final JsonNode root;

  TinyValidator(JsonNode root) {
    this.root = root;
  }

  boolean valid(JsonNode value) {
    return valid(root, value);
  }

  private boolean valid(JsonNode schema, JsonNode value) {
    if (schema.isBoolean()) {
      return schema.booleanValue();
    }
    if (schema.has("$ref") && !valid(root.at(schema.path("$ref").asText().substring(1)), value)) {
      return false;
    }
    return type(schema, value)
        && values(schema, value)
        && combined(schema, value)
        && number(schema, value)
        && (!value.isTextual() || string(schema, value.textValue()))
        && (!value.isArray() || array(schema, value))
        && (!value.isObject() || object(schema, value));
  }

  private static boolean type(JsonNode schema, JsonNode value) {
    JsonNode type = schema.path("type");
    boolean any = type.isMissingNode();
    for (JsonNode one : type.isArray() ? type : List.of(type)) {
      any |=
          switch (one.asText()) {
            case "object" -> value.isObject();
            case "array" -> value.isArray();
            case "string" -> value.isTextual();
            case "boolean" -> value.isBoolean();
            case "null" -> value.isNull();
            case "integer" -> value.isIntegralNumber();
            case "number" -> value.isNumber();
            default -> false;
          };
    }
    return any;
  }

  private static boolean values(JsonNode schema, JsonNode value) {
    boolean listed = !schema.has("enum");
    for (JsonNode one : schema.path("enum")) {
      listed |= same(one, value);
    }
    return listed && (!schema.has("const") || same(schema.get("const"), value));
  }

  /** 1 and 1.0 are. */
  private static boolean same(JsonNode a, JsonNode b) {
    return a.equals((x, y) -> x.equals(y) || sameNumber(x, y) ? 0 : 1, b);
  }

  private static boolean sameNumber(JsonNode a, JsonNode b) {
    return a.isNumber() && b.isNumber() && a.decimalValue().compareTo(b.decimalValue()) == 0;
  }

  private boolean combined(JsonNode schema, JsonNode value) {
    boolean any = !schema.has("anyOf");
    for (JsonNode one : schema.path("anyOf")) {
      any |= valid(one, value);
    }
    for (JsonNode one : schema.path("allOf")) {
      any &= valid(one, value);
    }
    if (schema.has("oneOf")) {
      int matching = 0;
      for (JsonNode one : schema.get("oneOf")) {
        matching += valid(one, value) ? 1 : 0;
      }
      any &= matching == 1;
    }
    any &= !schema.has("not") || !valid(schema.get("not"), value);
    if (schema.has("if")) {
      String branch = valid(schema.get("if"), value) ? "then" : "else";
      any &= !schema.has(branch) || valid(schema.get(branch), value);
    }
    return any;
  }

  private static boolean number(JsonNode schema, JsonNode value) {
    if (!value.isNumber()) {
      return true;
    }
    double number = value.doubleValue();
    BigDecimal exact = value.decimalValue();
    JsonNode step = schema.path("multipleOf");
    return number >= schema.path("minimum").asDouble(-1e300)
        && number <= schema.path("maximum").asDouble(1e300)
        && number > schema.path("exclusiveMinimum").asDouble(-1e300)
        && number < schema.path("exclusiveMaximum").asDouble(1e300)
        && (!schema.has("minimum") || exact.compareTo(schema.get("minimum").decimalValue()) >= 0)
        && (!schema.has("maximum") || exact.compareTo(schema.get("maximum").decimalValue()) <= 0)
        && (step.isMissingNode() || exact.remainder(step.decimalValue()).signum() == 0);
  }

  private static boolean string(JsonNode schema, String text) {
    int length = text.codePointCount(0, text.length());
    return length >= schema.path("minLength").asInt(0)
        && length <= schema.path("maxLength").asInt(Integer.MAX_VALUE)
        && (!schema.has("pattern")
            || Pattern.compile(schema.get("pattern").asText(), Pattern.DOTALL)
                .matcher(text)
                .find());
  }

  private boolean array(JsonNode schema, JsonNode value) {
    int size = value.size();
    boolean fine =
        size >= schema.path("minItems").asInt(0)
            && size <= schema.path("maxItems").asInt(Integer.MAX_VALUE);
    for (int i = 0; i < size; i++) {
      JsonNode prefix = schema.path("prefixItems").path(i);
      JsonNode its = prefix.isMissingNode() ? schema.path("items") : prefix;
      fine &= its.isMissingNode() || valid(its, value.get(i));
      for (int k = 0; k < i; k++) {
        fine &= !schema.path("uniqueItems").asBoolean() || !same(value.get(k), value.get(i));
      }
    }
    if (schema.has("contains")) {
      int count = 0;
      for (JsonNode item : value) {
        count += valid(schema.get("contains"), item) ? 1 : 0;
      }
      fine &= count >= schema.path("minContains").asInt(1);
      fine &= count <= schema.path("maxContains").asInt(Integer.MAX_VALUE);
    }
    return fine;
  }

  private boolean object(JsonNode schema, JsonNode value) {
    boolean fine = true;
    for (JsonNode name : schema.path("required")) {
      fine &= value.has(name.asText());
    }
    fine &= value.size() >= schema.path("minProperties").asInt(0);
    fine &= value.size() <= schema.path("maxProperties").asInt(Integer.MAX_VALUE);
    for (var field : value.properties()) {
      JsonNode its = schema.path("properties").path(field.getKey());
      boolean isNamed = !its.isMissingNode();
      fine &= !isNamed || valid(its, field.getValue());
      for (var pattern : schema.path("patternProperties").properties()) {
        if (Pattern.compile(pattern.getKey()).matcher(field.getKey()).find()) {
          isNamed = true;
          fine &= valid(pattern.getValue(), field.getValue());
        }
      }
      JsonNode others = schema.path("additionalProperties");
      fine &= isNamed || others.isMissingNode() || valid(others, field.getValue());
      JsonNode names = schema.path("propertyNames");
      fine &= names.isMissingNode() || valid(names, TextNode.valueOf(field.getKey()));
    }
    return fine;
  }
}
