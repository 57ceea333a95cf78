package io.tercel.server.grammar;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Random schemas of all keywords, put together at random: whatever is written is valid and never
 * gets stuck, and a value that is taken is valid.
 */
class KeywordPropertyTest {
  private static final ObjectMapper JSON =
      new ObjectMapper().enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS);
  private static final String[] NAMES = {"a", "b", "ab", "x-1", "kind"};
  private static final String[] PATTERNS = {"^a", "b$", "^x-", "^[a-c]{1,3}$", "é"};
  private static final String[] TYPES = {
    "object", "array", "string", "integer", "number", "boolean", "null"
  };

  private final Random random = new Random();

  private JsonNode value(int depth) {
    ArrayNode holder = JSON.createArrayNode();
    switch (random.nextInt(depth > 0 ? 8 : 6)) {
      case 0 -> holder.add(random.nextInt(30) - 4);
      case 1 -> holder.add(NAMES[random.nextInt(NAMES.length)]);
      case 2 -> holder.add(random.nextBoolean());
      case 3 -> holder.addNull();
      case 4 -> holder.add((random.nextInt(60) - 20) / 4.0);
      case 5 -> holder.add("abcé\"".substring(0, random.nextInt(6)));
      case 6 -> {
        ArrayNode array = holder.addArray();
        for (int i = random.nextInt(4); i > 0; i--) {
          array.add(value(depth - 1));
        }
      }
      default -> {
        ObjectNode object = holder.addObject();
        for (String name : NAMES) {
          if (random.nextInt(3) == 0) {
            object.set(name, value(depth - 1));
          }
        }
      }
    }
    return holder.get(0);
  }

  private ObjectNode schema(int depth) {
    ObjectNode schema = JSON.createObjectNode();
    for (int i = random.nextInt(2); i >= 0; i--) {
      switch (random.nextInt(depth > 0 ? 3 : 1)) {
        case 0 -> plain(schema);
        case 1 -> container(schema, depth - 1);
        default -> combined(schema, depth - 1);
      }
    }
    return schema;
  }

  private void plain(ObjectNode schema) {
    switch (random.nextInt(7)) {
      case 0 -> schema.put("type", TYPES[random.nextInt(TYPES.length)]);
      case 1 -> schema.put("type", "string").put("minLength", random.nextInt(3));
      case 2 -> schema.put("type", "number").put("minimum", random.nextInt(8) - 3);
      case 3 -> {
        ArrayNode values = schema.putArray("enum");
        for (int i = random.nextInt(4); i >= 0; i--) {
          values.add(value(1));
        }
      }
      case 4 -> schema.set("const", value(1));
      case 5 -> {
        schema.put("pattern", PATTERNS[random.nextInt(PATTERNS.length)]);
        schema.put("maxLength", 2 + random.nextInt(9));
      }
      default -> schema.putArray("type").add("string").add(TYPES[random.nextInt(4)]).add("null");
    }
  }

  private void container(ObjectNode schema, int depth) {
    switch (random.nextInt(8)) {
      case 0, 1 -> {
        schema.put("type", "object");
        ObjectNode properties = schema.putObject("properties");
        ArrayNode required = schema.putArray("required");
        for (String name : NAMES) {
          if (random.nextInt(3) == 0) {
            properties.set(name, schema(depth));
            if (random.nextInt(3) == 0) {
              required.add(name);
            }
          }
        }
        if (random.nextInt(3) == 0) {
          schema.set("additionalProperties", schema(0));
        }
      }
      case 2 -> {
        ObjectNode patterns = schema.putObject("patternProperties");
        for (int i = random.nextInt(2); i >= 0; i--) {
          patterns.set(PATTERNS[random.nextInt(PATTERNS.length)], schema(depth));
        }
        schema.put("additionalProperties", random.nextBoolean());
      }
      case 3 -> schema.putObject("propertyNames").put("maxLength", 1 + random.nextInt(3));
      case 4 -> schema.put("minProperties", random.nextInt(3)).put("maxProperties", 3);
      case 5 -> {
        schema.put("type", "array").put("uniqueItems", true).put("minItems", random.nextInt(3));
        ArrayNode values = schema.putObject("items").putArray("enum");
        for (int i = random.nextInt(8); i >= 0; i--) {
          values.add(value(0));
        }
      }
      case 6 -> {
        schema.set("contains", schema(depth));
        schema.put("minContains", random.nextInt(3)).put("maxContains", 1 + random.nextInt(3));
      }
      default -> {
        schema.put("type", "array").putArray("prefixItems").add(schema(depth));
        if (random.nextBoolean()) {
          schema.set("items", schema(depth));
        }
      }
    }
  }

  private void combined(ObjectNode schema, int depth) {
    switch (random.nextInt(5)) {
      case 0 -> schema.set("not", schema(depth));
      case 1 -> {
        schema.set("if", schema(depth));
        schema.set("then", schema(depth));
        schema.set("else", schema(depth));
      }
      case 2 -> { // of what rules can tell apart
        ArrayNode all = schema.putArray("oneOf");
        for (int i = 1 + random.nextInt(3); i > 0; i--) {
          ObjectNode one = all.addObject();
          switch (random.nextInt(4)) {
            case 0 -> one.put("type", TYPES[random.nextInt(TYPES.length)]);
            case 1 -> one.put("type", "string").put("minLength", random.nextInt(4));
            case 2 -> one.putArray("enum").add("a").add(random.nextInt(3)).add(7.5);
            default -> {
              one.put("type", "object").putArray("required").add(NAMES[random.nextInt(3)]);
              one.putObject("properties").putObject("a").put("type", "integer");
            }
          }
        }
      }
      default -> {
        ArrayNode all = schema.putArray(random.nextBoolean() ? "anyOf" : "allOf");
        for (int i = 1 + random.nextInt(2); i >= 0; i--) {
          all.add(schema(depth));
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})
  void whatIsWritten_isValid(long seed) throws Exception {
    random.setSeed(seed);
    byte[][] texts = TinyVocabularies.pieces();
    int compiled = 0;
    int ended = 0;
    for (int s = 0; s < 60; s++) {
      JsonNode schema = JSON.readTree(schema(3).toString()); // numbers as they are read
      TokenAutomaton automaton;
      try {
        automaton = TinyVocabularies.automaton(new Form.Schema(schema, "schema"), texts);
      } catch (GrammarException e) {
        continue;
      }
      compiled++;
      TinyValidator validator = new TinyValidator(schema);
      for (int walk = 0; walk < 4; walk++) {
        String json = walk(automaton, texts);
        ended += json == null ? 0 : 1;
        assertTrue(
            json == null || validator.valid(JSON.readTree(json)),
            () -> json + " against " + schema);
      }
      for (int i = 0; i < 20; i++) {
        JsonNode value = value(2);
        if (TinyVocabularies.accepts(automaton, value.toString())) {
          assertTrue(validator.valid(value), () -> value + " against " + schema);
        }
      }
    }
    assertTrue(compiled > 25, "schemas that compile: " + compiled);
    assertTrue(ended > 80, "texts that ended: " + ended);
  }

  /** A text token by token, null if it grows too long; not much white space. */
  private @Nullable String walk(TokenAutomaton automaton, byte[][] texts) {
    TokenAutomaton.Position position = automaton.start();
    ByteArrayOutputStream text = new ByteArrayOutputStream();
    for (int step = 0; step < 600; step++) {
      long[] mask = position.allowed();
      List<Integer> allowed = new ArrayList<>();
      for (int id = 0; id < texts.length; id++) {
        if (TinyVocabularies.allows(mask, id)) {
          allowed.add(id);
        }
      }
      assertFalse(allowed.isEmpty(), () -> "stuck behind " + text);
      List<Integer> tight =
          allowed.stream().filter(id -> id > ' ' || random.nextInt(8) == 0).toList();
      int token = tight.isEmpty() ? allowed.getFirst() : tight.get(random.nextInt(tight.size()));
      for (char closing : step > 15 ? "\u0100\"}]".toCharArray() : new char[0]) {
        if (allowed.contains((int) closing)) {
          token = closing;
          break;
        }
      }
      position.accept(token);
      assertFalse(position.isDead());
      if (token == TinyVocabularies.END) {
        return text.toString(StandardCharsets.UTF_8);
      }
      text.writeBytes(texts[token]);
    }
    return null;
  }

  /** A value that a schema of its own shape describes is taken. */
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4})
  void whatIsValid_isTakenWhereNothingIsLeftOut(long seed) {
    random.setSeed(seed);
    for (int i = 0; i < 300; i++) {
      JsonNode value = value(3);
      ObjectNode schema = JSON.createObjectNode();
      ArrayNode all = schema.putArray("allOf");
      all.addObject().set("not", JSON.createObjectNode().put("const", "no such text"));
      all.add(shape(value));
      TokenAutomaton automaton =
          TinyVocabularies.automaton(new Form.Schema(schema, "schema"), TinyVocabularies.pieces());
      assertEquals(
          true, TinyVocabularies.accepts(automaton, value.toString()), value + " of " + schema);
    }
  }

  private ObjectNode shape(JsonNode value) {
    ObjectNode schema = JSON.createObjectNode();
    if (value.isObject()) {
      schema.put("type", "object").put("minProperties", value.size());
      schema.put("maxProperties", value.size() + random.nextInt(2));
      boolean byPattern = random.nextBoolean();
      value
          .properties()
          .forEach(
              e ->
                  schema
                      .withObject(byPattern ? "/patternProperties" : "/properties")
                      .set(byPattern ? "^" + e.getKey() + "$" : e.getKey(), shape(e.getValue())));
      if (byPattern && value.size() > 1) { // names that aren't said may be the same one twice
        schema.put("minProperties", 1);
      }
      if (byPattern && value.size() > 4) {
        schema.remove("patternProperties");
      }
    } else if (value.isArray()) {
      schema.put("type", "array").put("minItems", value.size()).put("maxItems", value.size());
      value.forEach(item -> schema.withArray("prefixItems").add(shape(item)));
      JsonNode some = value.isEmpty() ? value : value.get(random.nextInt(value.size()));
      if (!some.toString().contains("[")) { // an item's own contains can't be joined to that
        schema.set("contains", shape(some));
      }
    } else if (value.isTextual()) {
      int length = value.textValue().codePointCount(0, value.textValue().length());
      schema.put("type", "string").put("minLength", length).put("maxLength", length);
      schema.put("pattern", "^[^0]*$");
    } else if (value.isNumber()) {
      schema.put("type", "number").put("minimum", value.decimalValue());
      schema.put("maximum", value.decimalValue());
    } else {
      schema.put("type", value.isNull() ? "null" : "boolean");
    }
    return schema;
  }
}
