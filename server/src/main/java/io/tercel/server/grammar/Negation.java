package io.tercel.server.grammar;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;

/**
 * What does not satisfy a schema, as schemas of which one must hold: what breaks one of its
 * keywords each. What breaks a keyword in a way that rules can't have is left out, so all that
 * satisfies one of them is right, and something else may be as well.
 */
final class Negation {
  private static final JsonNodeFactory NODES = JsonNodeFactory.instance;

  private final Located schema;
  private final List<JsonNode> ways = new ArrayList<>();
  private final Set<String> lost = new HashSet<>();

  /**
   * @param schema the one that must not hold
   */
  Negation(Located schema) {
    this.schema = schema;
    if (schema.schema().isBoolean()) {
      if (!schema.schema().booleanValue()) {
        ways.add(NODES.booleanNode(true));
      }
      return;
    }
    if (!(schema.schema() instanceof ObjectNode object)) {
      throw new GrammarException(schema.path(), "must be a schema: an object or a boolean");
    }
    ObjectNode own = Keywords.assertions(object, schema.path());
    for (Map.Entry<String, JsonNode> entry : own.properties()) {
      negate(own, entry.getKey(), entry.getValue());
    }
    if (object.has("$ref")) {
      ObjectNode reference = NODES.objectNode();
      reference.set("$ref", object.get("$ref"));
      ways.add(not(reference));
    }
    for (JsonNode member : object.path("allOf")) {
      ways.add(not(member));
    }
  }

  /** The schemas of which one must hold. */
  List<Located> ways() {
    return ways.stream().map(way -> schema.with(way)).toList();
  }

  /** The types of which something else breaks the schema, too. */
  Set<String> lost() {
    return lost;
  }

  /** Whether a schema's {@code not} is one that {@link StringSet} subtracts. */
  static boolean isOfStrings(JsonNode schema) {
    JsonNode not = schema.path("not");
    if (!schema.path("type").asText().equals("string") || not.size() != 1) {
      return false;
    }
    boolean isOfTexts = not.has("enum");
    for (JsonNode value : not.path("enum")) {
      isOfTexts &= value.isTextual();
    }
    return isOfTexts || not.has("pattern");
  }

  /** Whether a schema is of numbers that are not whole. */
  static boolean isOfFractions(JsonNode schema) {
    return schema.path("type").asText().equals("number")
        && schema.path("not").size() == 1
        && schema.path("not").path("type").asText().equals("integer");
  }

  private static ObjectNode not(JsonNode schema) {
    return NODES.objectNode().set("not", schema);
  }

  private static ObjectNode typed(String type) {
    return NODES.objectNode().put("type", type);
  }

  private void way(String type, String keyword, JsonNode value) {
    ways.add(typed(type).set(keyword, value));
  }

  private void negate(ObjectNode own, String keyword, JsonNode value) {
    switch (keyword) {
      case "type" -> types(own);
      case "const" -> values(List.of(value));
      case "enum" -> values(value);
      case "minimum" -> way("number", "exclusiveMaximum", value);
      case "maximum" -> way("number", "exclusiveMinimum", value);
      case "exclusiveMinimum" -> way("number", "maximum", value);
      case "exclusiveMaximum" -> way("number", "minimum", value);
      case "minLength" -> fewer("string", "maxLength", value);
      case "minItems" -> fewer("array", "maxItems", value);
      case "minProperties" -> fewer("object", "maxProperties", value);
      case "maxLength" -> more("string", "minLength", value);
      case "maxItems" -> more("array", "minItems", value);
      case "maxProperties" -> more("object", "minProperties", value);
      case "pattern" -> way("string", "not", NODES.objectNode().set(keyword, value));
      case "required" -> value.forEach(name -> forbid(typed("object"), name.textValue()));
      case "properties" ->
          value.properties().forEach(e -> ways.add(property(e.getKey(), not(e.getValue()))));
      case "items" -> items(own, value);
      case "prefixItems" -> prefix(value);
      case "contains" -> contains(own, value);
      case "not" -> ways.add(value);
      case "anyOf", "oneOf" -> {
        if (keyword.equals("oneOf")) { // several at once break it as well
          lost.addAll(SchemaValues.disjointTypes());
        }
        ArrayNode nots = NODES.arrayNode();
        value.forEach(member -> nots.add(not(member)));
        ways.add(NODES.objectNode().set("allOf", nots));
      }
      case "if" -> condition(own, value);
      case "dependentRequired" -> dependentRequired(value);
      case "then", "else", "minContains", "maxContains", "additionalItems" -> {}
      default -> lost.add(SchemaValues.typeOf(keyword));
    }
  }

  private void types(ObjectNode own) {
    Set<String> named = SchemaValues.types(own, schema.path());
    boolean isFraction = named.contains("integer");
    otherTypes(type -> !named.contains(type) && !(isFraction && type.equals("number")));
    if (isFraction) {
      way("number", "not", typed("integer"));
    }
  }

  private void otherTypes(Predicate<String> isOther) {
    ArrayNode others = NODES.arrayNode();
    SchemaValues.disjointTypes().stream().filter(isOther).forEach(others::add);
    if (!others.isEmpty()) {
      ways.add(NODES.objectNode().set("type", others));
    }
  }

  private void values(Iterable<JsonNode> values) {
    ArrayNode texts = NODES.arrayNode();
    ArrayNode truths = NODES.arrayNode().add(true).add(false);
    TreeSet<BigDecimal> numbers = new TreeSet<>();
    List<String> named = new ArrayList<>();
    for (JsonNode value : values) {
      String type = SchemaValues.disjointType(value);
      named.add(type);
      switch (type) {
        case "string" -> texts.add(value);
        case "number" -> numbers.add(modest(value));
        case "boolean" -> truths.remove(value.booleanValue() ? 0 : truths.size() - 1);
        case "null" -> {}
        default -> lost.add(type);
      }
    }
    otherTypes(type -> !named.contains(type));
    if (!texts.isEmpty()) {
      way("string", "not", NODES.objectNode().set("enum", texts));
    }
    if (named.contains("boolean") && !truths.isEmpty()) {
      way("boolean", "enum", truths);
    }
    BigDecimal below = null;
    for (BigDecimal number : numbers) {
      ObjectNode gap = typed("number").put("exclusiveMaximum", number);
      ways.add(below == null ? gap : gap.put("exclusiveMinimum", below));
      below = number;
    }
    if (below != null) {
      way("number", "exclusiveMinimum", NODES.numberNode(below));
    }
  }

  private BigDecimal modest(JsonNode number) {
    if (!SchemaValues.isModest(number)) {
      throw new GrammarException(
          schema.path(), "has an enum or const with a number beyond 1e-30 to 1e30");
    }
    return number.decimalValue().stripTrailingZeros();
  }

  private void fewer(String type, String keyword, JsonNode value) {
    if (value.doubleValue() >= 1) {
      way(type, keyword, NODES.numberNode((long) value.doubleValue() - 1));
    }
  }

  private void more(String type, String keyword, JsonNode value) {
    way(type, keyword, NODES.numberNode((long) value.doubleValue() + 1));
  }

  private static void forbidIn(ObjectNode object, String name) {
    ObjectNode properties = NODES.objectNode();
    properties.put(name, false);
    object.set("properties", properties);
  }

  private void forbid(ObjectNode object, String name) {
    forbidIn(object, name);
    ways.add(object);
  }

  /** An object that has a property, and of such a value. */
  private static ObjectNode property(String name, JsonNode value) {
    ObjectNode object = typed("object");
    object.putArray("required").add(name);
    object.putObject("properties").set(name, value);
    return object;
  }

  private void items(ObjectNode own, JsonNode items) {
    if (items.isArray() || own.has("prefixItems")) {
      lost.add("array");
    } else {
      way("array", "contains", not(items));
    }
  }

  private void prefix(JsonNode prefix) {
    for (int i = 0; i < prefix.size(); i++) {
      ObjectNode array = typed("array").put("minItems", i + 1);
      ArrayNode items = array.putArray("prefixItems");
      for (int before = 0; before < i; before++) {
        items.add(true);
      }
      items.add(not(prefix.get(i)));
      ways.add(array);
    }
  }

  private void contains(ObjectNode own, JsonNode contained) {
    if (own.has("minContains") || own.has("maxContains")) {
      lost.add("array");
    } else {
      way("array", "items", not(contained));
    }
  }

  private void condition(ObjectNode own, JsonNode condition) {
    for (String branch : new String[] {"then", "else"}) {
      JsonNode its = own.get(branch);
      if (its != null) {
        ArrayNode both = NODES.arrayNode();
        both.add(branch.equals("then") ? condition : not(condition)).add(not(its));
        ways.add(NODES.objectNode().set("allOf", both));
      }
    }
  }

  private void dependentRequired(JsonNode dependents) {
    for (Map.Entry<String, JsonNode> entry : dependents.properties()) {
      for (JsonNode name : entry.getValue()) {
        ObjectNode object = typed("object");
        object.putArray("required").add(entry.getKey());
        forbid(object, name.asText());
      }
    }
  }
}
