package io.tercel.server.grammar;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Large unions of types that refer to one another, such as a syntax tree's. */
class UnionTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final int TYPES = 30;

  /**
   * A syntax tree's schema as Pydantic writes it: each of the types has fields that are unions of
   * most of the types, each union with a title of its own and each another one.
   *
   * @param tagged whether each object must begin with its kind
   */
  private static ObjectNode syntaxTree(boolean tagged) {
    ObjectNode root = JSON.createObjectNode();
    ObjectNode definitions = root.putObject("$defs");
    for (int type = 0; type < TYPES; type++) {
      ObjectNode its = definitions.putObject("Type" + type).put("type", "object");
      its.put("title", "Type" + type);
      ObjectNode properties = its.putObject("properties");
      ArrayNode required = its.putArray("required");
      if (tagged) {
        properties.putObject("kind").put("const", "kind_" + type).put("title", "Kind");
        required.add("kind");
      }
      for (String field : new String[] {"left", "right"}) {
        ObjectNode union = properties.putObject(field + "_" + type).put("title", field + type);
        ArrayNode all = union.putArray("anyOf");
        for (int i = 0; i < TYPES; i++) {
          if (i != type && i != (type + field.length()) % TYPES) {
            all.addObject().put("$ref", "#/$defs/Type" + i);
          }
        }
        all.addObject().put("type", "integer");
        all.addObject().put("type", "null");
      }
      ObjectNode list = properties.putObject("rest").put("type", "array");
      list.putObject("items").put("$ref", "#/$defs/Type" + (type + 1) % TYPES);
      properties.putObject("comment").put("type", "string").put("title", "comment " + type);
      required.add("left_" + type).add("comment");
    }
    ArrayNode all = root.putArray("anyOf");
    for (int i = 0; i < TYPES; i++) {
      all.addObject().put("$ref", "#/$defs/Type" + i);
    }
    return root;
  }

  private static String text(
      Random random, int depth, int without, int alsoWithout, boolean tagged) {
    int type = random.nextInt(TYPES);
    if (depth == 0 || type == without || type == alsoWithout) {
      return without < 0 ? text(random, 4, -1, -1, tagged) : random.nextBoolean() ? "7" : "null";
    }
    StringBuilder text = new StringBuilder("{");
    text.append(tagged ? "\"kind\": \"kind_" + type + "\", " : "");
    text.append("\"left_%d\": ".formatted(type));
    text.append(text(random, depth - 1, type, (type + 4) % TYPES, tagged));
    if (random.nextBoolean()) {
      text.append(", \"right_%d\": ".formatted(type));
      text.append(text(random, depth - 1, type, (type + 5) % TYPES, tagged));
    }
    text.append(random.nextBoolean() ? ", \"rest\": []" : "");
    return text.append(", \"comment\": \"é\"}").toString();
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void syntaxTree_compilesAndTakesItsTexts(boolean tagged) throws Exception {
    ObjectNode schema = syntaxTree(tagged);
    Form form = new Form.Schema(schema, "s");
    int numNodes = form.compile().numNodes();
    assertTrue(numNodes < Complexity.MAX_NODES / 2, "states: " + numNodes);
    TokenAutomaton automaton = TinyVocabularies.automaton(form, TinyVocabularies.pieces());
    TinyValidator validator = new TinyValidator(schema);
    Random random = new Random(3);
    for (int i = 0; i < 20; i++) {
      String text = text(random, 5, -1, -1, tagged);
      assertTrue(validator.valid(JSON.readTree(text)), text);
      assertTrue(TinyVocabularies.accepts(automaton, text), text);
    }
    String wrong = "{\"kind\": \"kind_3\", \"left_3\": {\"kind\": \"kind_3\"";
    assertFalse(TinyVocabularies.accepts(automaton, wrong));
  }
}
