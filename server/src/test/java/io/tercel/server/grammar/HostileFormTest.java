package io.tercel.server.grammar;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

/** Forms that are made to cost much: they get an answer or a refusal, and soon. */
class HostileFormTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  /** Three readings of every level: 3 to the power of the depth, were they all followed. */
  @Test
  void ambiguousRecursion_staysValidAndQuick() {
    ObjectNode root = JSON.createObjectNode();
    ArrayNode readings = root.putArray("anyOf");
    for (int i = 0; i < 3; i++) {
      ObjectNode its = readings.addObject().put("type", "object").putObject("properties");
      ArrayNode values = its.putObject("a").put("title", "reading " + i).putArray("anyOf");
      values.addObject().put("$ref", "#");
      values.addObject().put("type", "integer").put("maximum", 10 + i);
    }
    assertTimeoutPreemptively(
        Duration.ofSeconds(20),
        () -> {
          TokenAutomaton automaton =
              TinyVocabularies.automaton(new Form.Schema(root, "s"), TinyVocabularies.pieces());
          for (int depth : new int[] {1, 3, 200}) {
            String open = "{\"a\":".repeat(depth);
            String close = "}".repeat(depth);
            assertTrue(TinyVocabularies.accepts(automaton, open + "10" + close));
            assertFalse(TinyVocabularies.accepts(automaton, open + "13" + close));
          }
          assertTrue(TinyVocabularies.accepts(automaton, "{\"a\":{\"a\":12}}"));
        });
  }

  /** More states than are remembered: what is forgotten changes no mask. */
  @Test
  void forgetting_changesNothing() throws Exception {
    String regex = "[ab]{3000}(x[0-9]{1,900}){2}";
    byte[][] texts = TinyVocabularies.pieces();
    TokenAutomaton used = TinyVocabularies.automaton(new Form.Pattern(regex, "r"), texts);
    String text = "ab".repeat(1500) + "x12x" + "7".repeat(800);
    for (int round = 0; round < 3; round++) {
      assertTrue(TinyVocabularies.accepts(used, text));
    }
    TokenAutomaton.Position a = used.start();
    TokenAutomaton.Position b =
        TinyVocabularies.automaton(new Form.Pattern(regex, "r"), texts).start();
    for (byte c : text.getBytes(StandardCharsets.UTF_8)) {
      assertTrue(Arrays.equals(a.allowed(), b.allowed()));
      a.accept(c);
      b.accept(c);
    }
    assertEquals(a.mayEnd(), b.mayEnd());
  }

  /** Deep texts take no deep stack of ours. */
  @Test
  void nesting_hasNoEnd() throws Exception {
    TokenAutomaton any =
        TinyVocabularies.automaton(new Form.AnyObject("o"), TinyVocabularies.pieces());
    int depth = 20_000;
    assertTrue(
        TinyVocabularies.accepts(any, "{\"a\":" + "[".repeat(depth) + "]".repeat(depth) + "}"));
  }

  @Test
  void vocabulary_withoutTheCharactersIsRefused() {
    GrammarException e =
        assertThrows(
            GrammarException.class,
            () ->
                TinyVocabularies.automaton(new Form.Pattern("漢+", "r"), TinyVocabularies.ascii()));
    assertTrue(e.reason().contains("one by one"), e.reason());
  }

  /** A vocabulary without é begins nothing that has to go on with it, however deep it is begun. */
  @Test
  void restThatCannotBeWritten_isNotBegun() throws Exception {
    String schema =
        """
        {"anyOf": [
          {"type": "array", "items": false, "minItems": 2, "prefixItems": [
            {"type": "array", "items": {"type": "integer"}}, {"const": "é"}]},
          {"type": "array", "items": {"type": "array", "items": {"type": "boolean"}}}]}""";
    Form form = new Form.Schema(JSON.readTree(schema), "s");
    TokenAutomaton ascii = TinyVocabularies.automaton(form, TinyVocabularies.ascii());
    TokenAutomaton.Position position = ascii.start();
    position.accept('[');
    position.accept('[');
    assertFalse(TinyVocabularies.allows(position.allowed(), '1'));
    assertTrue(TinyVocabularies.allows(position.allowed(), 't'));
    assertTrue(TinyVocabularies.accepts(ascii, "[[true]]"));
    TokenAutomaton all = TinyVocabularies.automaton(form, TinyVocabularies.pieces());
    assertTrue(TinyVocabularies.accepts(all, "[[1],\"é\"]"));
  }

  /** Each value is checked against the pattern, which is read once. */
  @Test
  void manyValues_areCheckedSoon() {
    ObjectNode schema = JSON.createObjectNode().put("format", "date-time").put("maxLength", 25);
    ArrayNode values = schema.putArray("enum");
    for (int i = 0; i < 5_000; i++) {
      values.add("2024-01-01T00:%02d:%02dZ".formatted(i / 60 % 60, i % 60)).add("no");
    }
    schema.put("title", "of 10,000 values, half of them left");
    values.remove(0);
    values.remove(0);
    assertTimeoutPreemptively(
        Duration.ofSeconds(20),
        () -> {
          TokenAutomaton automaton =
              TinyVocabularies.automaton(new Form.Schema(schema, "s"), TinyVocabularies.pieces());
          assertTrue(TinyVocabularies.accepts(automaton, "\"2024-01-01T00:59:59Z\""));
          assertFalse(TinyVocabularies.accepts(automaton, "\"no\""));
        });
  }
}
