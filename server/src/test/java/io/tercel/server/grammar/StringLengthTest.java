package io.tercel.server.grammar;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Lengths of strings, which are counted beside their automata. */
class StringLengthTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  private static Form form(String schema) throws Exception {
    return new Form.Schema(JSON.readTree(schema), "schema");
  }

  private static TokenAutomaton automaton(String schema) throws Exception {
    return TinyVocabularies.automaton(form(schema), TinyVocabularies.pieces());
  }

  /** At every length the mask is what trying the tokens one by one lets through. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"type\":\"string\",\"minLength\":40,\"maxLength\":75}",
        "{\"pattern\":\"^[a-z ]*$\",\"minLength\":40,\"maxLength\":75}",
        "{\"pattern\":\"^[a-z ]*\\\\.?$\",\"minLength\":5,\"maxLength\":70}",
        "{\"anyOf\":[{\"type\":\"string\",\"maxLength\":50},{\"pattern\":\"q\",\"maxLength\":70}]}",
      })
  void mask_isExactAtEveryLength(String schema) throws Exception {
    byte[][] texts = TinyVocabularies.pieces();
    TokenAutomaton automaton = automaton(schema);
    TokenAutomaton.Position position = automaton.start();
    position.accept('"');
    String text = "the quick brown fox jumps over the lazy dog and what else there may be to say";
    int length = 0;
    for (; length < text.length(); length++) {
      long[] mask = position.allowed();
      for (int id = 0; id < texts.length; id++) {
        boolean fits = id != TinyVocabularies.END && fits(automaton, text, length, id);
        assertEquals(fits, TinyVocabularies.allows(mask, id), id + " behind " + length);
      }
      if (!TinyVocabularies.allows(mask, text.charAt(length))) {
        break;
      }
      position.accept(text.charAt(length));
    }
    assertTrue(length == 75 || length == 70, "characters: " + length);
  }

  private static boolean fits(TokenAutomaton automaton, String text, int length, int id) {
    TokenAutomaton.Position position = automaton.start();
    position.accept('"');
    text.chars().limit(length).forEach(position::accept);
    position.accept(id);
    return !position.isDead();
  }

  @Test
  void characters_areCountedAndNotBytes() throws Exception {
    TokenAutomaton three = automaton("{\"type\":\"string\",\"minLength\":3,\"maxLength\":3}");
    assertTrue(TinyVocabularies.accepts(three, "\"é🦅\\n\""));
    assertTrue(TinyVocabularies.accepts(three, "\"\\u00e9\\ud83e\\udd85a\""));
    assertFalse(TinyVocabularies.accepts(three, "\"é🦅\""));
    assertFalse(TinyVocabularies.accepts(three, "\"é🦅\\n\\n\""));
  }

  @Test
  void longest_isReachedAndNotPassed() throws Exception {
    TokenAutomaton urls =
        automaton("{\"type\":\"string\",\"pattern\":\"^https?://\",\"maxLength\":2048}");
    assertTrue(TinyVocabularies.accepts(urls, "\"https://" + "a".repeat(2040) + "\""));
    assertFalse(TinyVocabularies.accepts(urls, "\"https://" + "a".repeat(2041) + "\""));
    TokenAutomaton large =
        automaton("{\"type\":\"string\",\"minLength\":3000,\"maxLength\":100000}");
    assertTrue(TinyVocabularies.accepts(large, "\"" + "é".repeat(3000) + "\""));
    assertFalse(TinyVocabularies.accepts(large, "\"" + "é".repeat(2999) + "\""));
  }

  /** A least length beside texts that can't all be made longer: no dead end. */
  @Test
  void least_isNoDeadEnd() throws Exception {
    TokenAutomaton even =
        automaton("{\"pattern\":\"^(aa)*(bcd)?$\",\"minLength\":6,\"maxLength\":7}");
    assertTrue(TinyVocabularies.accepts(even, "\"aaaaaa\""));
    assertTrue(TinyVocabularies.accepts(even, "\"aaaabcd\""));
    assertFalse(TinyVocabularies.accepts(even, "\"aabcd\""));
    TokenAutomaton.Position position = even.start();
    for (char c : "\"aa".toCharArray()) {
      position.accept(c);
    }
    assertFalse(TinyVocabularies.allows(position.allowed(), 'b'));
  }

  /** States of the finished automaton; multiplied in, lengths would take thousands. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '\u0001',
      value = {
        "{\"type\":\"string\",\"format\":\"email\",\"maxLength\":255}",
        "{\"type\":\"string\",\"pattern\":\"^https?://\",\"maxLength\":2048}",
        "{\"type\":\"string\",\"format\":\"uri\",\"minLength\":1,\"maxLength\":2083}",
        "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"maxLength\":9000},\"minItems\":20}",
      })
  void length_costsNoStates(String schema) throws Exception {
    int states = form(schema).compile().numNodes();
    assertTrue(states < 1000, "states: " + states);
  }
}
