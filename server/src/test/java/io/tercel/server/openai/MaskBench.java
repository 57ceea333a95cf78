package io.tercel.server.openai;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.server.grammar.Form;
import io.tercel.server.grammar.TokenAutomaton;
import io.tercel.server.model.FormCompiler;
import io.tercel.server.text.Tokenizer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/**
 * How long masks take before a real vocabulary: {@code MaskBench DIR}, a folder with a {@code
 * tokenizer.json}. For each form the time to compile it, and over one text the time of each mask
 * when it is new and when it is known.
 */
final class MaskBench {
  private static final String USER =
      """
      {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 200}},
        "born": {"type": "string", "format": "date"}},
       "required": ["name", "age", "tags", "born"], "additionalProperties": false}""";
  private static final String TEXT =
      "{\"name\": \"Ada Lovelace, countess of many things\", \"age\": 36,"
          + " \"tags\": [\"mathematics and engines\", \"poetical science\"], \"born\": \"1815-12-10\"}";

  private static final String EMAIL = "\"countess.of.many.things@analytical-engines.example.org\"";

  private MaskBench() {}

  public static void main(String[] args) throws IOException {
    try (Tokenizer tokenizer = Tokenizer.open(Path.of(args[0]))) {
      int end = tokenizer.tokenId("<|im_end|>").orElseThrow();
      FormCompiler compiler = new FormCompiler(tokenizer, Set.of(end), null);
      long start = System.nanoTime();
      compiler.automaton(new Form.Choice(List.of("a"), "warm"));
      System.out.printf(Locale.ROOT, "%d tokens, trie %.0f ms%n", tokenizer.vocabSize(), ms(start));
      for (int round = 0; round < 6; round++) {
        measure(tokenizer, compiler, new Form.AnyObject("object" + round), "any object", TEXT);
        Form schema = new Form.Schema(new ObjectMapper().readTree(USER), "schema" + round);
        measure(tokenizer, compiler, schema, "schema", TEXT);
        ObjectNode email = new ObjectMapper().createObjectNode().put("format", "email");
        Form bounded = new Form.Schema(email.put("maxLength", 255), "email" + round);
        measure(tokenizer, compiler, bounded, "bounded email", EMAIL);
        Form hostile = new Form.Pattern("([ -~]{1,9}x?[ -~]{1,9}){20}", "hostile" + round);
        measure(tokenizer, compiler, hostile, "vague pattern", TEXT);
        Form ambiguous = new Form.Schema(ambiguous(), "ambiguous" + round);
        measure(tokenizer, compiler, ambiguous, "ambiguous", "{\"a\":".repeat(10) + TEXT);
      }
    }
  }

  /** Twelve readings of each string, twelve times as many at each level. */
  private static ObjectNode ambiguous() {
    ObjectNode root = new ObjectMapper().createObjectNode();
    ArrayNode readings = root.putArray("anyOf");
    for (int i = 0; i < 12; i++) {
      ObjectNode reading = readings.addObject().put("type", "object");
      ObjectNode its = reading.putObject("properties");
      ArrayNode values = its.putObject("a").putArray("anyOf");
      values.addObject().put("$ref", "#");
      values.addObject().put("type", "string").put("pattern", "^[ -~]{" + i + ",}x?[a-z]*$");
      its.putObject("name").put("type", "string").put("minLength", i % 7).put("maxLength", 50 + i);
    }
    return root;
  }

  private static void measure(
      Tokenizer tokenizer, FormCompiler compiler, Form form, String name, String text) {
    long start = System.nanoTime();
    TokenAutomaton automaton = compiler.automaton(form);
    double compiled = ms(start);
    int[] ids = tokenizer.encode(text, false);
    double[] fresh = masks(automaton, ids);
    double[] known = masks(automaton, ids);
    System.out.printf(
        Locale.ROOT,
        "%-14s compile %6.1f ms, %d masks of %d bytes: new median %.3f, most %.3f ms; known %.4f ms%n",
        name,
        compiled,
        ids.length,
        text.getBytes(StandardCharsets.UTF_8).length,
        fresh[fresh.length / 2],
        fresh[fresh.length - 1],
        known[known.length / 2]);
  }

  private static double[] masks(TokenAutomaton automaton, int[] ids) {
    TokenAutomaton.Position position = automaton.start();
    double[] times = new double[ids.length];
    for (int i = 0; i < ids.length; i++) {
      long start = System.nanoTime();
      position.allowed();
      times[i] = ms(start);
      position.accept(ids[i]);
    }
    Arrays.sort(times);
    return times;
  }

  private static double ms(long start) {
    return (System.nanoTime() - start) / 1e6;
  }
}
