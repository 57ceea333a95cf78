package io.tercel.kernels.format;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.nio.charset.StandardCharsets;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class JsonFaultTest {
  private static final ObjectMapper MAPPER =
      JsonMapper.builder(
              JsonFactory.builder()
                  .streamReadConstraints(
                      StreamReadConstraints.builder()
                          .maxNestingDepth(8)
                          .maxNumberLength(20)
                          .maxNameLength(20)
                          .build())
                  .build())
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{\"a\": } | unexpected '}' where a value is due at line 1, column 7",
        "{a: 1} | unexpected 'a' where a field's name in double quotes is due at line 1, column 2",
        "{\"a\" 1} | unexpected '1' where a colon is due at line 1, column 6",
        "{\"a\": 1 \"b\": 2} | unexpected '\"' where a comma or the end is due at line 1, column 9",
        "[1, 2} | unexpected '}' where ']' is due at line 1, column 6",
        "{\"a\": nil} | 'nil' is no JSON value at line 1, column 7",
        "{\"a\": NaN} | 'NaN' is no JSON value at line 1, column 10",
        "{\"a\": [1 | it ends too early, at line 1, column 9",
        "{\"a | it ends too early, at line 1, column 4",
        "{} {} | something follows the value at line 1, column 4",
        "{\"a\": \"\\x\"} | a string has an escape that JSON lacks, at line 1, column 9",
        "{\"a\": 01} | a number begins with 0, at line 1, column 8",
      })
  void fault_saysWhatAndWhere(String json, String says) {
    JsonProcessingException e =
        assertThrows(JsonProcessingException.class, () -> MAPPER.readTree(json));
    assertEquals(says, JsonFault.of(e));
  }

  private static void assertNoInternals(String message, String json) {
    String own = message.replaceAll("(?s)'.*?'", ""); // what the text itself says may be anything
    assertFalse(
        own.matches(
            "(?s).*(`|[a-z]\\.[a-z]+|Exception|Feature|Source|Json[A-Z]|REDACTED|Stream).*"),
        message + " for " + json);
  }

  /** Whatever is wrong: texts with one byte changed, cut or doubled. */
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void noFault_namesTheParsersInternals(long seed) throws Exception {
    String whole =
        "{\"a\": [1, -2.5e3, true, null, \"x\\u00e9\\n\"], \"b\": {\"c\": {\"d\": [[[[[0]]]]]}}, \"é\": 12}";
    Random random = new Random(seed);
    byte[] bytes = whole.getBytes(StandardCharsets.UTF_8);
    int faults = 0;
    for (int i = 0; i < 5000; i++) {
      byte[] other = bytes.clone();
      int at = random.nextInt(other.length);
      other[at] =
          (byte)
              (random.nextBoolean()
                  ? random.nextInt(256)
                  : "{}[]\",:\\0eNt\n".charAt(random.nextInt(13)));
      try {
        var unused = MAPPER.readTree(other, 0, random.nextInt(5) == 0 ? at : other.length);
      } catch (JsonProcessingException e) {
        faults++;
        assertNoInternals(JsonFault.of(e), new String(other, StandardCharsets.UTF_8));
      } catch (java.io.CharConversionException e) {
        faults++; // no text at all
      }
    }
    assertFalse(faults < 1000, "only " + faults + " were faulty");
  }

  @Test
  void limits_sayTheNumbersAlone() {
    for (String json :
        new String[] {"[".repeat(9), "1".repeat(30), "{\"" + "n".repeat(30) + "\": 1}"}) {
      JsonProcessingException e =
          assertThrows(JsonProcessingException.class, () -> MAPPER.readTree(json));
      assertNoInternals(JsonFault.of(e), json);
    }
  }
}
