package io.tercel.loadtests.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.server.UserException;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine;

class BenchCompareCommandTest {
  private static final int REQUESTS = 600;

  @TempDir Path directory;

  private record Outcome(int status, String text) {}

  private static Outcome compare(String... args) {
    StringWriter out = new StringWriter();
    CommandLine command = new CommandLine(new BenchCompareCommand());
    command.setOut(new PrintWriter(out));
    command.setErr(new PrintWriter(out));
    command.setExecutionExceptionHandler(
        (e, line, parsed) -> {
          if (e instanceof UserException) {
            out.append(e.getMessage());
            return 1;
          }
          throw e;
        });
    return new Outcome(command.execute(args), out.toString());
  }

  /**
   * A result of ten requests a second, of five tokens each.
   *
   * @param slower its tokens, compared with others
   * @param speed of the whole, compared with others
   */
  private Path result(String name, long seed, double slower, double speed) throws IOException {
    SplittableRandom random = new SplittableRandom(seed);
    ObjectNode json = new ObjectMapper().createObjectNode();
    json.put("duration", REQUESTS / 10.0 / speed + 1);
    for (int i = 0; i < REQUESTS; i++) {
      double ttft = 0.1 * (1 + random.nextDouble());
      double sum = 0;
      var itls = json.withArray("itls").addArray();
      for (int k = 0; k < 4; k++) {
        double itl = 0.02 * slower * (1 + random.nextDouble());
        itls.add(itl);
        sum += itl;
      }
      json.withArray("start_times").add(i / 10.0 / speed);
      json.withArray("ttfts").add(ttft);
      json.withArray("latencies").add(ttft + sum);
      json.withArray("output_lens").add(5);
      json.withArray("errors").add("");
    }
    Path file = directory.resolve(name);
    Files.writeString(file, json.toString());
    return file;
  }

  private JsonNode comparison(Path a, Path b) throws IOException {
    Path file = directory.resolve("comparison.json");
    Outcome outcome = compare(a.toString(), b.toString(), "--save-result", file.toString());
    assertEquals(0, outcome.status(), outcome.text());
    assertTrue(outcome.text().contains("600 requests answered"), outcome.text());
    return new ObjectMapper().readTree(file.toFile());
  }

  @Test
  void sameServer_showsNoDifference() throws IOException {
    JsonNode json = comparison(result("a.json", 1, 1, 1), result("b.json", 2, 1, 1));
    json.properties()
        .forEach(e -> assertEquals("none", e.getValue().get("verdict").asText(), e.getKey()));
    assertEquals(17, json.size()); // throughput, four latencies with a mean and three percentiles
  }

  /** Tokens 10 % slower, first tokens as before, half as many requests a second. */
  @Test
  void slowerTokens_areToldFromTheRest() throws IOException {
    JsonNode json = comparison(result("a.json", 1, 1, 1), result("b.json", 2, 1.1, 0.5));
    for (String worse :
        new String[] {"output tok/s", "TPOT mean ms", "TPOT p50 ms", "ITL p90 ms", "ITL p99 ms"}) {
      assertEquals("worse", json.get(worse).get("verdict").asText(), worse);
    }
    for (String same : new String[] {"TTFT mean ms", "TTFT p50 ms", "TTFT p99 ms"}) {
      assertEquals("none", json.get(same).get("verdict").asText(), same);
    }
    JsonNode tpot = json.get("TPOT mean ms");
    assertEquals(30, tpot.get("a").asDouble(), 1); // 20 ms by 1 to 2, uniform
    assertTrue(
        tpot.get("from").asDouble() < 1.1 && tpot.get("to").asDouble() > 1.1, () -> "" + tpot);
    assertEquals(0.5, json.get("output tok/s").get("ratio").asDouble(), 0.02);
    JsonNode back = comparison(directory.resolve("b.json"), directory.resolve("a.json"));
    assertEquals("better", back.get("TPOT mean ms").get("verdict").asText());
    assertEquals("better", back.get("output tok/s").get("verdict").asText());
  }

  /** vLLM writes no latencies, and older ones no start_times; failed requests don't count. */
  @Test
  void vllmsFile_isReadAndFewRequestsSayLittle() throws IOException {
    Path file = directory.resolve("vllm.json");
    Files.writeString(
        file,
        """
        {"duration": 2.0, "completed": 2, "ttfts": [0.1, 0.3, 0.0], "output_lens": [3, 3, 0],
         "itls": [[0.01, 0.03], [0.02, 0.02], []], "errors": ["", "", "boom"]}
        """);
    Outcome outcome = compare(file.toString(), file.toString());
    assertEquals(0, outcome.status(), outcome.text());
    assertTrue(outcome.text().contains("2 requests answered"), outcome.text());
    assertTrue(
        outcome.text().matches("(?s).*E2EL mean ms +240\\.00 +240\\.00 +1\\.000.*"),
        outcome.text());
    assertTrue(
        outcome.text().matches("(?s).*TTFT p99 ms .*too few requests to tell.*"), outcome.text());
    assertFalse(outcome.text().contains("better"), outcome.text());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          nonsense                                                | not JSON in line 1
          {}                                                      | has no duration
          {"duration": 1}                                         | save results with --save-detailed
          {"duration": 1, "ttfts": [1], "itls": [[]], "output_lens": [1]} | fewer than two requests
          """)
  void badFile_isNamed(String text, String why) throws IOException {
    Path file = directory.resolve("bad.json");
    Files.writeString(file, text);
    Outcome outcome = compare(file.toString(), file.toString());
    assertEquals(1, outcome.status());
    assertTrue(
        outcome.text().startsWith(file + ": ") && outcome.text().contains(why), outcome.text());
  }

  @Test
  void badOption_isNamed() throws IOException {
    String file = result("a.json", 1, 1, 1).toString();
    assertTrue(compare(file, "/no/such").text().contains("/no/such: no such file"));
    assertTrue(compare(file, file, "--confidence", "95").text().contains("--confidence: 95.0;"));
    assertTrue(compare(file, file, "--resamples", "1").text().contains("--resamples: 1;"));
    assertTrue(
        compare(file, file, "--metric-percentiles", "100").text().contains("100.0; expected"));
  }
}
