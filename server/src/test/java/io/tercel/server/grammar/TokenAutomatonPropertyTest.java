package io.tercel.server.grammar;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.ByteArrayOutputStream;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Random schemas before random walks: whatever the masks let through is valid, never gets stuck,
 * and is what trying every token one by one would let through.
 */
class TokenAutomatonPropertyTest {
  private static final ObjectMapper JSON =
      new ObjectMapper()
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS);
  private static final String[] NAMES = {"a", "ab", "abc", "b", "é", "x\"y", "the"};

  private final Random random = new Random();

  private ObjectNode schema(int depth) {
    ObjectNode schema = JSON.createObjectNode();
    switch (random.nextInt(depth > 0 ? 15 : 11)) {
      case 0 -> schema.put("type", "string");
      case 1 -> schema.put("type", "boolean");
      case 2 -> {
        schema.put("type", "integer");
        int min = random.nextInt(200) - 100;
        schema.put("minimum", min).put("maximum", min + random.nextInt(150));
      }
      case 3 -> schema.put("type", "number");
      case 4 -> {
        int min = random.nextInt(4);
        schema.put("type", "string").put("minLength", min);
        if (random.nextBoolean()) {
          schema.put("maxLength", min + random.nextInt(30));
        }
      }
      case 5 -> {
        ArrayNode values = schema.putArray("enum");
        values.add("a").add("ab").add(12).addNull().add("x\"y");
      }
      case 6 -> schema.put("type", "string").put("pattern", "^[a-c]{1,3}(\\\\|\")?(é|🦅)*$");
      case 7 -> bounded(schema);
      case 8 -> {
        int step = 1 + random.nextInt(random.nextBoolean() ? 100 : 9);
        int min = random.nextInt(2000) - 1000;
        schema.put("type", random.nextBoolean() ? "integer" : "number").put("multipleOf", step);
        schema.put("minimum", min).put("maximum", min + step + random.nextInt(500));
      }
      case 9 -> {
        String[] patterns = {"^(a|é)+(b\\\\)?", "\"", "^[^a]*(ab|ba)", "^(ab*)*$"};
        int min = random.nextInt(4);
        schema.put("pattern", patterns[random.nextInt(patterns.length)]);
        schema.put("minLength", min).put("maxLength", min + 2 + random.nextInt(6));
      }
      case 10 -> checkedValues(schema);
      case 11 -> {
        schema.put("type", "array");
        schema.set("items", schema(depth - 1));
        if (random.nextBoolean()) {
          int min = random.nextInt(3);
          schema.put("minItems", min).put("maxItems", min + random.nextInt(3));
        }
      }
      case 12 -> {
        ArrayNode all = schema.putArray("anyOf");
        for (int i = random.nextInt(3); i >= 0; i--) {
          all.add(schema(depth - 1));
        }
      }
      case 13 -> schema.put("$ref", "#/$defs/shared");
      default -> object(schema, depth);
    }
    return schema;
  }

  private void bounded(ObjectNode schema) {
    schema.put("type", "number");
    BigDecimal a = BigDecimal.valueOf(random.nextInt(40_000) - 20_000, random.nextInt(6));
    BigDecimal b = a.add(BigDecimal.valueOf(1 + random.nextInt(500), random.nextInt(6)));
    int sides = random.nextInt(3);
    if (sides != 0) {
      schema.put(random.nextBoolean() ? "minimum" : "exclusiveMinimum", a);
    }
    if (sides != 1) {
      schema.put(random.nextBoolean() ? "maximum" : "exclusiveMaximum", b);
    }
  }

  /** Values of which another keyword leaves some. */
  private void checkedValues(ObjectNode schema) {
    ArrayNode values = schema.putArray("enum");
    values.add("a").add("aé").add(12).add(-3).add(7.25).addNull();
    values.addArray().add(1).add("a");
    switch (random.nextInt(5)) {
      case 0 -> schema.put("exclusiveMinimum", 7);
      case 1 -> schema.put("maxLength", 1);
      case 2 -> schema.put("pattern", "é$");
      case 3 -> schema.put("multipleOf", 6);
      default -> schema.put("minItems", 3).putArray("type").add("array").add("integer");
    }
  }

  private void object(ObjectNode schema, int depth) {
    schema.put("type", "object");
    ObjectNode properties = schema.putObject("properties");
    ArrayNode required = schema.putArray("required");
    for (String name : NAMES) {
      if (random.nextInt(3) == 0) {
        properties.set(name, schema(depth - 1));
        if (random.nextBoolean()) {
          required.add(name);
        }
      }
    }
    switch (random.nextInt(3)) {
      case 0 -> schema.put("additionalProperties", false);
      case 1 -> schema.set("additionalProperties", schema(0));
      default -> {}
    }
  }

  private JsonNode root() {
    ObjectNode root = JSON.createObjectNode();
    object(root, 3);
    ObjectNode shared = root.putObject("$defs").putObject("shared");
    object(shared, 2);
    return root;
  }

  private static List<Integer> ids(long[] mask) {
    List<Integer> ids = new ArrayList<>();
    for (int id = 0; id < mask.length * 64; id++) {
      if (TinyVocabularies.allows(mask, id)) {
        ids.add(id);
      }
    }
    return ids;
  }

  /** The text so far, once more, and then this token. */
  private static boolean fits(TokenAutomaton automaton, List<Integer> before, int token) {
    TokenAutomaton.Position position = automaton.start();
    before.forEach(position::accept);
    position.accept(token);
    return !position.isDead();
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20})
  void walk_isValidNeverStuckAndExact(long seed) throws Exception {
    random.setSeed(seed);
    int ended = 0;
    int exact = 0;
    for (int s = 0; s < 12; s++) {
      JsonNode schema = root();
      byte[][] texts = s % 3 == 2 ? TinyVocabularies.ascii() : TinyVocabularies.pieces();
      TokenAutomaton automaton;
      try {
        automaton = TinyVocabularies.automaton(new Form.Schema(schema, "schema"), texts);
      } catch (GrammarException e) {
        // a required property that recurs, or é before a vocabulary without it
        assertTrue(e.reason().startsWith("has no text") || s % 3 == 2, schema + ": " + e.reason());
        continue;
      }
      TinyValidator validator = new TinyValidator(schema);
      for (int walk = 0; walk < 6; walk++) {
        TokenAutomaton.Position position = automaton.start();
        ByteArrayOutputStream text = new ByteArrayOutputStream();
        List<Integer> tokens = new ArrayList<>();
        for (int step = 0; step < 3000; step++) {
          List<Integer> allowed = ids(position.allowed());
          assertFalse(allowed.isEmpty(), () -> "stuck behind " + text + " in " + schema);
          assertEquals(position.mayEnd(), allowed.contains(TinyVocabularies.END));
          if (step < 12 && walk == 0) {
            for (int id = 0; id < texts.length; id++) {
              assertEquals(fits(automaton, tokens, id), allowed.contains(id), text + " then " + id);
              exact++;
            }
          }
          int token = choose(allowed, texts, step);
          position.accept(token);
          assertFalse(position.isDead());
          tokens.add(token);
          if (token == TinyVocabularies.END) {
            ended++;
            String json = text.toString(StandardCharsets.UTF_8);
            assertFalse(json.contains("\uFFFD"), json);
            assertTrue(validator.valid(JSON.readTree(json)), () -> json + " against " + schema);
            break;
          }
          text.writeBytes(texts[token]);
        }
      }
    }
    assertTrue(ended > 30, "texts that ended: " + ended);
    assertTrue(exact > 1000, "tokens tried: " + exact);
  }

  /** At random at first; after a while by whatever leads to an end. */
  private int choose(List<Integer> allowed, byte[][] texts, int step) {
    if (step > 60) {
      for (char closing : "\u0100\"}]".toCharArray()) {
        if (allowed.contains((int) closing)) {
          return closing;
        }
      }
    }
    return allowed.get(random.nextInt(allowed.size()));
  }

  /** Unions that share rules have the masks of those that are written out. */
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
  void sharedUnions_haveTheSameMasks(long seed) throws Exception {
    random.setSeed(seed);
    byte[][] texts = TinyVocabularies.pieces();
    int several = 0;
    for (int s = 0; s < 10; s++) {
      Form.Schema form = new Form.Schema(union(), "schema");
      Grammar inline = FormGrammar.of(form, SchemaRules.Unions.INLINE);
      Grammar shared = FormGrammar.of(form, SchemaRules.Unions.SHARED);
      several += inline.numNodes() == shared.numNodes() ? 0 : 1;
      for (int walk = 0; walk < 4; walk++) {
        TokenAutomaton.Position a = TinyVocabularies.automaton(inline, texts, "s").start();
        TokenAutomaton.Position b = TinyVocabularies.automaton(shared, texts, "s").start();
        for (int step = 0; step < 200 && !a.isDead(); step++) {
          assertArrayEquals(a.allowed(), b.allowed(), () -> form.schema().toString());
          int token = choose(ids(a.allowed()), texts, step);
          a.accept(token);
          b.accept(token);
          if (token == TinyVocabularies.END) {
            break;
          }
        }
      }
    }
    assertTrue(several > 5, "schemas with unions: " + several);
  }

  /** A few objects, some tagged, some with tags that others have too. */
  private JsonNode union() {
    ObjectNode root = JSON.createObjectNode();
    ObjectNode definitions = root.putObject("$defs");
    object(definitions.putObject("shared"), 1);
    ArrayNode all = root.putArray("anyOf");
    for (int i = 0; i < 2 + random.nextInt(4); i++) {
      ObjectNode its = definitions.putObject("t" + i).put("type", "object");
      ObjectNode properties = its.putObject("properties");
      if (random.nextInt(3) > 0) {
        properties.putObject("kind").putArray("enum").add("k" + random.nextInt(3)).add("k" + i);
        its.putArray("required").add("kind");
      }
      properties.set("a", schema(1));
      properties.putObject("next").putArray("anyOf").addObject().put("$ref", "#");
      all.addObject().put("$ref", "#/$defs/t" + i);
    }
    all.addObject().put("type", "null");
    return root;
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5})
  void text_isReachedByAnyOfItsTokenizations(long seed) throws Exception {
    random.setSeed(seed);
    String json = "{\"a\":\"é🦅 \\\"x\",\"b\":[true, -12.5e1,null,{}]}";
    byte[] bytes = json.getBytes(StandardCharsets.UTF_8);
    byte[][] texts = TinyVocabularies.pieces();
    TokenAutomaton automaton = TinyVocabularies.automaton(new Form.AnyObject("o"), texts);
    int longer = 0;
    for (int round = 0; round < 200; round++) {
      TokenAutomaton.Position position = automaton.start();
      for (int at = 0; at < bytes.length; ) {
        List<Integer> next = new ArrayList<>();
        for (int id = 0; id < texts.length; id++) {
          byte[] t = texts[id];
          if (t.length > 0
              && at + t.length <= bytes.length
              && Arrays.equals(t, 0, t.length, bytes, at, at + t.length)) {
            next.add(id);
          }
        }
        int id = next.get(random.nextInt(next.size()));
        assertTrue(TinyVocabularies.allows(position.allowed(), id), json.substring(0, 3) + at);
        position.accept(id);
        at += texts[id].length;
        longer += texts[id].length > 1 ? 1 : 0;
      }
      assertTrue(position.mayEnd());
    }
    assertTrue(longer > 500, "longer tokens: " + longer);
  }
}
