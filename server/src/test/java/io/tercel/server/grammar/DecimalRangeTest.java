package io.tercel.server.grammar;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Numbers between bounds and multiples, against arithmetic. */
class DecimalRangeTest {
  private static final ObjectMapper JSON =
      new ObjectMapper().enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS);

  private final Random random = new Random();

  private static TokenAutomaton automaton(ObjectNode schema) {
    return TinyVocabularies.automaton(new Form.Schema(schema, "s"), TinyVocabularies.pieces());
  }

  private static TokenAutomaton numbers(String bounds) throws Exception {
    return automaton(
        (ObjectNode) JSON.readTree("{\"type\":\"number\"," + bounds.replace('\'', '"') + "}"));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '\u0001',
      value = {
        "'minimum':0.05 | 0.05 | true",
        "'minimum':0.05 | 0.050 | true",
        "'minimum':0.05 | 0.0499 | false",
        "'minimum':0.05 | 0.1 | true",
        "'minimum':0.05 | 0 | false",
        "'minimum':0.05 | 7 | true",
        "'minimum':0.05 | -1 | false",
        "'minimum':0.05 | 1e5 | false",
        "'minimum':0.05 | 999999999999999 | true",
        "'minimum':0.05 | 1000000000000000 | false",
        "'minimum':0,'maximum':1 | 0 | true",
        "'minimum':0,'maximum':1 | 0.000 | true",
        "'minimum':0,'maximum':1 | -0 | false",
        "'minimum':0,'maximum':1 | -0.0 | false",
        "'minimum':0,'maximum':1 | 1 | true",
        "'minimum':0,'maximum':1 | 1.000 | true",
        "'minimum':0,'maximum':1 | 1.001 | false",
        "'minimum':0,'maximum':1 | 01 | false",
        "'minimum':0,'maximum':1 | 0. | false",
        "'minimum':0,'maximum':1 | .5 | false",
        "'minimum':0,'maximum':1 | 0.123456789012345 | true",
        "'minimum':0,'maximum':1 | 0.1234567890123456 | false",
        "'exclusiveMinimum':0,'exclusiveMaximum':1 | 0 | false",
        "'exclusiveMinimum':0,'exclusiveMaximum':1 | 0.00 | false",
        "'exclusiveMinimum':0,'exclusiveMaximum':1 | 0.000000000000001 | true",
        "'exclusiveMinimum':0,'exclusiveMaximum':1 | 0.999999999999999 | true",
        "'exclusiveMinimum':0,'exclusiveMaximum':1 | 1 | false",
        "'exclusiveMinimum':0,'exclusiveMaximum':1 | 1.0 | false",
        "'minimum':-2.5,'maximum':-0.25 | -2.5 | true",
        "'minimum':-2.5,'maximum':-0.25 | -2.51 | false",
        "'minimum':-2.5,'maximum':-0.25 | -0.25 | true",
        "'minimum':-2.5,'maximum':-0.25 | -0.2499 | false",
        "'minimum':-2.5,'maximum':-0.25 | -1 | true",
        "'minimum':-2.5,'maximum':-0.25 | 1 | false",
        "'minimum':-1,'maximum':1 | -0.0 | false",
        "'minimum':-1,'maximum':1 | -0.01 | true",
        "'maximum':99.5 | 99.5 | true",
        "'maximum':99.5 | 99.51 | false",
        "'maximum':99.5 | 100 | false",
        "'maximum':99.5 | -123456.5 | true",
        "'minimum':5,'exclusiveMinimum':5 | 5.0 | false",
        "'minimum':5,'exclusiveMinimum':4 | 5 | true",
        "'exclusiveMinimum':0.1234567890123456789 | 0.123456789012346 | true",
        "'exclusiveMinimum':0.1234567890123456789 | 0.123456789012345 | false",
        "'exclusiveMaximum':0.1000000000000000055 | 0.1 | false",
        "'exclusiveMaximum':0.1000000000000000055 | 0.0999 | true",
        "'multipleOf':5,'minimum':-10,'maximum':20 | -5 | true",
        "'multipleOf':5,'minimum':-10,'maximum':20 | 0 | true",
        "'multipleOf':5,'minimum':-10,'maximum':20 | 25 | false",
      })
  void number_isWithin(String bounds, String text, boolean expected) throws Exception {
    assertEquals(expected, TinyVocabularies.accepts(numbers(bounds), text));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '\u0001',
      value = {
        "'minimum':2,'maximum':1.5 | s.properties.x.anyOf[1]",
        "'exclusiveMinimum':1,'maximum':1 | s.properties.x.anyOf[1]",
        "'exclusiveMinimum':0,'maximum':1e-20 | s.properties.x.anyOf[1]",
        "'minimum':1e16 | s.properties.x.anyOf[1]",
        "'minimum':1e-999999999 | s.properties.x.anyOf[1].minimum",
        "'maximum':1e999999999 | s.properties.x.anyOf[1].maximum",
        "'minimum':'1' | s.properties.x.anyOf[1].minimum",
        "'multipleOf':0.5 | s.properties.x.anyOf[1].multipleOf",
        "'multipleOf':0 | s.properties.x.anyOf[1].multipleOf",
        "'multipleOf':101 | s.properties.x.anyOf[1].multipleOf",
        "'multipleOf':7,'minimum':8,'maximum':13 | s.properties.x.anyOf[1]",
      })
  void refusal_namesThePlace(String bounds, String path) throws Exception {
    String schema =
        "{\"properties\":{\"x\":{\"anyOf\":[{\"type\":\"null\"},{\"type\":\"number\",%s}]}}}";
    ObjectNode node = (ObjectNode) JSON.readTree(schema.formatted(bounds.replace('\'', '"')));
    GrammarException e = assertThrows(GrammarException.class, () -> automaton(node));
    assertEquals(path, e.path(), e.reason());
  }

  /** What an alternative leaves nothing of is no error while another one is left. */
  @Test
  void narrowedAlternative_mayBeEmpty() throws Exception {
    TokenAutomaton numbers = numbers("'minimum':5,'anyOf':[{'maximum':1},{'exclusiveMaximum':10}]");
    assertTrue(TinyVocabularies.accepts(numbers, "9.5"));
    assertEquals(false, TinyVocabularies.accepts(numbers, "0.5"));
  }

  /** Texts around the bounds, accepted exactly if exact and double arithmetic both say so. */
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
  void range_isThatOfArithmetic(long seed) {
    random.setSeed(seed);
    int inside = 0;
    int outside = 0;
    for (int round = 0; round < 40; round++) {
      BigDecimal a = decimal(random.nextInt(5), random.nextInt(6));
      BigDecimal b = decimal(random.nextInt(5), random.nextInt(6));
      ObjectNode schema = JSON.createObjectNode().put("type", "number");
      boolean lower = random.nextInt(4) > 0;
      boolean upper = !lower || random.nextInt(4) > 0;
      String min = random.nextBoolean() ? "minimum" : "exclusiveMinimum";
      String max = random.nextBoolean() ? "maximum" : "exclusiveMaximum";
      if (lower) {
        schema.put(min, a.min(b));
      }
      if (upper) {
        schema.put(max, a.max(b));
      }
      if (a.compareTo(b) == 0 && (min.startsWith("e") || max.startsWith("e"))) {
        continue;
      }
      TokenAutomaton automaton = automaton(schema);
      for (String text : around(a, b)) {
        BigDecimal value = new BigDecimal(text);
        boolean expected =
            (!lower || value.compareTo(a.min(b)) >= (min.startsWith("e") ? 1 : 0))
                && (!upper || value.compareTo(a.max(b)) <= (max.startsWith("e") ? -1 : 0))
                && !(text.startsWith("-") && value.signum() == 0);
        assertEquals(
            expected, TinyVocabularies.accepts(automaton, text), () -> text + " in " + schema);
        inside += expected ? 1 : 0;
        outside += expected ? 0 : 1;
      }
    }
    assertTrue(inside > 300 && outside > 300, inside + " and " + outside);
  }

  private List<String> around(BigDecimal a, BigDecimal b) {
    List<String> all = new ArrayList<>(List.of("0", "-0", "0.0", "-0.0", "-0.1", "1", "10"));
    for (BigDecimal bound : new BigDecimal[] {a, b}) {
      for (int scale = 0; scale < 8; scale++) {
        BigDecimal ulp = BigDecimal.ONE.movePointLeft(scale);
        for (BigDecimal v : List.of(bound, bound.add(ulp), bound.subtract(ulp), bound.negate())) {
          all.add(v.toPlainString());
          all.add(v.setScale(8, RoundingMode.FLOOR).toPlainString());
        }
      }
      all.add(decimal(random.nextInt(6), random.nextInt(7)).toPlainString());
    }
    return all;
  }

  private BigDecimal decimal(int digits, int scale) {
    long unscaled = random.nextLong((long) Math.pow(10, digits) + 1);
    BigDecimal value = BigDecimal.valueOf(unscaled, scale);
    return random.nextBoolean() ? value : value.negate();
  }

  /** Every whole number near the bounds. */
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 5, 7, 10, 12, 64, 99, 100, 300, 2500})
  void multiples_areThoseOfArithmetic(long step) {
    random.setSeed(step);
    for (int round = 0; round < 4; round++) {
      long min = random.nextLong(6000) - 4000;
      long max = min + step + random.nextLong(3000);
      TokenAutomaton automaton =
          automaton(
              JSON.createObjectNode()
                  .put("type", "integer")
                  .put("multipleOf", step)
                  .put("minimum", min)
                  .put("maximum", max));
      for (long n = min - 30; n <= max + 30; n++) {
        boolean expected = n >= min && n <= max && n % step == 0;
        assertEquals(expected, TinyVocabularies.accepts(automaton, Long.toString(n)), n + "");
      }
    }
    TokenAutomaton all =
        automaton(JSON.createObjectNode().put("type", "integer").put("multipleOf", step));
    for (int round = 0; round < 200; round++) {
      long n = random.nextLong(2 * IntegerRange.MAX) - IntegerRange.MAX;
      n -= round % 2 == 0 ? n % step : 0;
      assertEquals(n % step == 0, TinyVocabularies.accepts(all, Long.toString(n)), n + "");
    }
  }
}
