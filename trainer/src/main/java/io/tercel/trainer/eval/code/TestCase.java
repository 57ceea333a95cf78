package io.tercel.trainer.eval.code;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.tercel.server.UserException;
import io.tercel.trainer.files.JsonLine;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.zip.InflaterInputStream;

/**
 * What a program is to do with an input.
 *
 * @param functional whether the input is the arguments of a function, a JSON value a line, and the
 *     output its result; else both are standard input and output
 */
record TestCase(String input, String output, boolean functional) {
  private static final ObjectMapper JSON = new ObjectMapper();

  /** All tests of a line of LiveCodeBench, the public ones first. */
  static List<TestCase> of(JsonLine line) {
    List<TestCase> tests = new ArrayList<>();
    for (String field : List.of("public_test_cases", "private_test_cases")) {
      for (JsonNode test : tests(line, field)) {
        String kind = test.path("testtype").asText();
        if (!test.path("input").isTextual()
            || !test.path("output").isTextual()
            || !(kind.equals("stdin") || kind.equals("functional"))) {
          throw line.refuse(field, "has a test without input, output or a testtype that is known");
        }
        tests.add(
            new TestCase(
                test.get("input").textValue(),
                test.get("output").textValue(),
                kind.equals("functional")));
      }
    }
    if (tests.isEmpty()) {
      throw line.refuse("public_test_cases", "and private_test_cases hold no test");
    }
    return tests;
  }

  /** JSON as it is, or in a text, or in a pickled text, deflated, in base 64. */
  private static JsonNode tests(JsonLine line, String field) {
    JsonNode value = line.fields().path(field);
    if (value.isArray()) {
      return value;
    }
    String text = line.text(field).strip();
    try {
      JsonNode tests = JSON.readTree(text.startsWith("[") ? text : unpacked(text));
      if (!tests.isArray()) {
        throw line.refuse(field, "is no list of tests");
      }
      return tests;
    } catch (JsonProcessingException | IllegalArgumentException e) {
      throw new UserException(line.where() + ": " + field + " is no JSON, packed or not", e);
    } catch (IOException e) {
      throw new UserException(line.where() + ": " + field + ": " + e.getMessage(), e);
    }
  }

  private static String unpacked(String text) throws IOException {
    byte[] deflated = Base64.getDecoder().decode(text);
    try (InflaterInputStream in = new InflaterInputStream(new ByteArrayInputStream(deflated))) {
      return PickledText.read(in);
    }
  }
}
