package io.tercel.loadtests.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.tercel.loadtests.client.ScriptedServer;
import io.tercel.server.UserException;
import io.tercel.server.cli.Command;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.ServiceLoader;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine;

@Timeout(120)
class BenchServeCommandTest {
  private record Outcome(int status, String text) {}

  private static Outcome bench(String... args) {
    StringWriter out = new StringWriter();
    CommandLine command = new CommandLine(new BenchServeCommand());
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

  private static Outcome bench(ScriptedServer server, String... args) {
    List<String> all = new ArrayList<>(List.of("--base-url", server.url() + "/v1/"));
    all.addAll(List.of(args));
    return bench(all.toArray(String[]::new));
  }

  private static JsonNode json(Path file) throws IOException {
    return new ObjectMapper().readTree(file.toFile());
  }

  @Test
  void command_isFoundBelowBench() {
    Command found =
        ServiceLoader.load(Command.class).stream()
            .map(ServiceLoader.Provider::get)
            .filter(BenchServeCommand.class::isInstance)
            .findFirst()
            .orElseThrow();
    assertEquals("bench", found.parent());
  }

  /** The keys that vllm bench serve writes, and what they mean. */
  @Test
  void result_hasTheSchemaOfVllm(@TempDir Path directory) throws IOException {
    Path file = directory.resolve("result.json");
    Path plot = directory.resolve("plot.png");
    try (ScriptedServer server = new ScriptedServer()) {
      Outcome outcome =
          bench(
              server,
              "--num-prompts",
              "9",
              "--max-concurrency",
              "2",
              "--input-len",
              "20",
              "--output-len",
              "5",
              "--goodput",
              "ttft:60000",
              "tpot:60000",
              "--save-result",
              file.toString(),
              "--save-detailed",
              "--plot",
              plot.toString(),
              "--metrics",
              "--metrics-interval",
              "0.01s",
              "--metric-percentiles",
              "90,99,99.9");
      assertEquals(0, outcome.status(), outcome.text());
      assertTrue(outcome.text().contains("Successful requests:                       9"));
      assertTrue(outcome.text().contains("Request goodput (req/s):"));
      assertEquals(10, server.requests.size()); // one to warm up
    }
    JsonNode json = json(file);
    for (String key :
        List.of(
            "date",
            "endpoint_type",
            "backend",
            "label",
            "model_id",
            "tokenizer_id",
            "num_prompts",
            "request_rate",
            "burstiness",
            "max_concurrency",
            "duration",
            "completed",
            "failed",
            "total_input_tokens",
            "total_output_tokens",
            "request_throughput",
            "request_goodput",
            "output_throughput",
            "total_token_throughput",
            "input_lens",
            "output_lens",
            "ttfts",
            "itls",
            "latencies",
            "start_times",
            "queue_times",
            "generated_texts",
            "errors",
            "max_output_tokens_per_s",
            "max_concurrent_requests",
            "steady_state")) {
      assertTrue(json.has(key), key);
    }
    for (String metric : List.of("ttft", "ttfat", "tpot", "itl", "e2el")) {
      for (String figure : List.of("mean", "median", "std", "p90", "p99", "p99.9")) {
        assertTrue(json.get(figure + "_" + metric + "_ms").isNumber(), figure + " " + metric);
      }
    }
    assertEquals("scripted", json.get("model_id").asText());
    assertEquals("openai", json.get("backend").asText());
    assertEquals("inf", json.get("request_rate").asText());
    assertTrue(json.get("date").asText().matches("\\d{8}-\\d{6}"));
    assertEquals(9, json.get("completed").asInt());
    assertEquals(180, json.get("total_input_tokens").asInt());
    assertEquals(45, json.get("total_output_tokens").asInt());
    assertEquals(
        45 / json.get("duration").asDouble(), json.get("output_throughput").asDouble(), 1e-6);
    assertEquals(json.get("request_throughput"), json.get("request_goodput"));
    assertEquals(9, json.get("itls").size());
    assertEquals(4, json.get("itls").get(0).size());
    assertEquals("xxxxx", json.get("generated_texts").get(8).asText());
    assertEquals("", json.get("errors").get(0).asText());
    assertEquals(
        2097152, json.at("/server_metrics/samples/0/process_resident_memory_bytes").asDouble());
    assertTrue(ImageIO.read(plot.toFile()).getWidth() > 500);
  }

  @Test
  void sameSeed_asksTheSame() throws IOException {
    List<List<JsonNode>> asked = new ArrayList<>();
    for (String seed : List.of("5", "5", "6")) {
      try (ScriptedServer server = new ScriptedServer()) {
        bench(
            server,
            "--num-prompts",
            "4",
            "--max-concurrency",
            "1",
            "--input-len",
            "9",
            "--seed",
            seed,
            "--random-range-ratio",
            "0.5");
        asked.add(List.copyOf(server.requests));
      }
    }
    assertEquals(asked.get(0), asked.get(1));
    assertFalse(asked.get(0).equals(asked.get(2)));
  }

  @Test
  void chat_tellsThinkingApart(@TempDir Path directory) throws IOException {
    Path file = directory.resolve("result.json");
    try (ScriptedServer server = new ScriptedServer()) {
      server.play(
          (request, answer) -> {
            answer.thought("Hm");
            Thread.sleep(30); // what is measured is real time
            answer.said("4");
            answer.end(100, 2, 1);
          });
      Outcome outcome =
          bench(
              server,
              "--endpoint",
              "/v1/chat/completions",
              "--num-prompts",
              "3",
              "--request-rate",
              "100",
              "--input-len",
              "103",
              "--save-result",
              file.toString());
      assertEquals(0, outcome.status(), outcome.text());
      assertTrue(outcome.text().contains("Mean TTFAT (ms):"), outcome.text());
      // two tokens a word, three for the template
      String words = server.requests.getLast().at("/messages/0/content").asText();
      assertEquals(50, words.split(" ").length);
      assertEquals(128, server.requests.getLast().get("max_completion_tokens").asInt());
    }
    JsonNode json = json(file);
    assertEquals(3, json.get("total_reasoning_tokens").asInt());
    assertEquals(3, json.get("requests_with_reasoning").asInt());
    double apart = json.get("mean_ttfat_ms").asDouble() - json.get("mean_ttft_ms").asDouble();
    assertTrue(apart >= 25, () -> "apart by " + apart);
    assertFalse(json.has("ttfts"));
    assertTrue(json.get("max_concurrency").isNull());
    assertTrue(json.get("request_goodput").isNull());
  }

  @Test
  void sweep_writesAFileAPoint(@TempDir Path directory) throws IOException {
    Path plot = directory.resolve("sweep.png");
    try (ScriptedServer server = new ScriptedServer()) {
      Outcome outcome =
          bench(
              server,
              "--sweep",
              "1,3",
              "--num-prompts",
              "6",
              "--input-len",
              "5",
              "--output-len",
              "3",
              "--warmup",
              "0",
              "--save-result",
              directory.resolve("r.json").toString(),
              "--plot",
              plot.toString());
      assertEquals(0, outcome.status(), outcome.text());
      assertTrue(outcome.text().contains("concurrency"), outcome.text());
      // no prompt twice, or the second point would find it in the prefix cache
      assertEquals(12, server.requests.stream().map(r -> r.get("prompt")).distinct().count());
    }
    assertEquals(1, json(directory.resolve("r-c1.json")).get("max_concurrency").asInt());
    assertEquals(3, json(directory.resolve("r-c3.json")).get("max_concurrency").asInt());
    assertTrue(Files.size(plot) > 1000);
  }

  /** More than four at once are turned away; each takes 20 ms. */
  @Test
  void findRate_findsWhatTheServerBears(@TempDir Path directory) throws IOException {
    Path file = directory.resolve("rate.json");
    Path plot = directory.resolve("rate.png");
    try (ScriptedServer server = new ScriptedServer()) {
      server.play(
          (request, answer) -> {
            if (server.running.get() > 4) {
              answer.refuse(429, "full");
              return;
            }
            Thread.sleep(20); // what is measured is real time
            answer.token("x");
            answer.end(9, 1, 0);
          });
      Outcome outcome =
          bench(
              server,
              ("--find-rate --goodput ttft:10000 --goodput e2el:10000,tpot:10000 --request-rate 25"
                      + " --burstiness inf --duration 0.05s --num-prompts 10 --rate-resolution 1"
                      + " --slo-attainment 0.9 --input-len 9 --output-len 1 --save-result "
                      + file
                      + " --plot "
                      + plot)
                  .split(" "));
      assertEquals(0, outcome.status(), outcome.text());
      assertTrue(outcome.text().contains("missed; once more"), outcome.text());
      assertTrue(outcome.text().contains("Highest rate with 90 % of"), outcome.text());
    }
    JsonNode json = json(file);
    JsonNode search = json.get("rate_search");
    double highest = search.get("highest_rate").asDouble();
    assertTrue(highest >= 25 && highest <= 1600, () -> "" + search);
    assertEquals(2 * highest, search.get("lowest_missed_rate").asDouble());
    assertEquals(highest, json.get("request_rate").asDouble()); // the run that it found
    assertEquals(0.9, search.get("slo_attainment").asDouble());
    JsonNode last = search.get("trials").get(search.get("trials").size() - 1);
    assertEquals(2, last.get("attempt").asInt());
    assertFalse(last.get("kept").asBoolean());
    assertTrue(last.get("attainment").asDouble() < 0.9, () -> "" + search);
    assertTrue(last.get("failed").asInt() > 0, () -> "" + search);
    assertTrue(Files.size(plot) > 1000);
  }

  @Test
  void findRate_saysThatThereIsNone(@TempDir Path directory) throws IOException {
    Path file = directory.resolve("rate.json");
    try (ScriptedServer server = new ScriptedServer()) {
      Outcome outcome =
          bench(
              server,
              ("--find-rate --goodput ttft:0.0000001 --request-rate 1000000 --duration 0.000001s"
                      + " --num-prompts 2 --warmup 0 --input-len 9 --output-len 1 --save-result "
                      + file)
                  .split(" "));
      assertEquals(1, outcome.status(), outcome.text());
      assertTrue(outcome.text().contains("At no rate tried did 99 %"), outcome.text());
    }
    assertTrue(json(file).at("/rate_search/highest_rate").isNull());
    assertEquals(14, json(file).at("/rate_search/trials").size());
  }

  @Test
  void failingServer_isSaidAtOnce() throws IOException {
    try (ScriptedServer server = new ScriptedServer()) {
      server.play((request, answer) -> answer.refuse(400, "no such thing"));
      Outcome warmup = bench(server, "--input-len", "5");
      assertEquals(1, warmup.status());
      assertTrue(warmup.text().contains("no such thing"), warmup.text());
      assertEquals(1, server.requests.size());
      Outcome all = bench(server, "--input-len", "5", "--warmup", "0", "--num-prompts", "2");
      assertEquals(1, all.status());
      assertTrue(all.text().contains("http_400:"), all.text());
    }
    Outcome nobody = bench("--base-url", "http://127.0.0.1:1");
    assertEquals(1, nobody.status());
    assertTrue(nobody.text().contains("no server answers at http://127.0.0.1:1"), nobody.text());
  }

  /** Each names the option and what would be right. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          --num-prompts 0                          | --num-prompts: 0; expected at least 1
          --num-prompts 5 --duration 5s            | --duration: replaces --num-prompts
          --duration 5x --max-concurrency 1        | --duration: '5x'; expected a time above 0
          --duration 5m                            | --duration: needs --max-concurrency N
          --max-concurrency 0                      | --max-concurrency: 0; expected at least 1
          --max-concurrency 2 --sweep 1,2          | --sweep: replaces --max-concurrency
          --sweep 1,0                              | --sweep: expected concurrencies of at least 1
          --request-rate 0                         | --request-rate: '0'; expected a number above 0
          --request-rate fast                      | --request-rate: 'fast'; expected a number
          --burstiness -1                          | --burstiness: '-1'; expected a number above 0
          --warmup -1                              | --warmup: -1; expected at least 0
          --abort-rate 1.5                         | --abort-rate: 1.5; expected a share
          --abort-rate 0.6 --slow-reader-rate 0.6  | more than 1 together
          --slow-reader-speed 0                    | --slow-reader-speed: 0; expected at least 1
          --find-rate                              | --find-rate: needs objectives; add --goodput
          --find-rate --goodput ttft:5 --sweep 1,2 | --sweep: is no part of --find-rate
          --slo-attainment 0                       | --slo-attainment: 0.0; expected a share above 0
          --rate-resolution 0                      | --rate-resolution: 0.0; expected a share from
          --goodput ttft                           | --goodput: 'ttft'; expected ttft
          --goodput itl:5                          | --goodput: 'itl:5'; expected ttft
          --goodput ttft:x                         | --goodput: 'ttft:x'; expected ttft
          --percentile-metrics ttft,foo            | --percentile-metrics: no 'foo'; choose of
          --metric-percentiles 101                 | --metric-percentiles: 101.0; expected
          --save-detailed                          | --save-detailed: needs --save-result
          --save-result /no/such/dir/x.json        | --save-result: /no/such/dir is no directory
          --plot x.gif                             | --plot: 'x.gif'; expected a name
          --dataset-name sonnet                    | --dataset-name: no 'sonnet'; choose random
          --dataset-name custom                    | --dataset-path FILE is missing
          --dataset-path /no/such/file             | --dataset-path: no file /no/such/file
          --input-len 0                            | --random-input-len: 0; expected at least 1
          --output-len 0                           | --output-len: 0; expected at least 1
          --random-range-ratio 1                   | --random-range-ratio: 1.0; expected 0 to below 1
          --backend tgi                            | --backend: no 'tgi'; choose openai
          --backend openai --endpoint /v1/chat/completions | does not fit --backend openai
          --backend grpc                           | --backend grpc: --grpc-target HOST:PORT is missing
          --grpc-target localhost:1                | --grpc-target: is for --backend grpc
          --backend grpc --grpc-target localhost   | --grpc-target: 'localhost'; expected HOST:PORT
          --endpoint /v1/embeddings                | --endpoint: '/v1/embeddings'; expected
          --base-url localhost:8000                | --base-url: 'localhost:8000' is no address
          --timeout 0                              | --timeout: '0'; expected a time above 0
          --extra-body [1]                         | --extra-body: not a JSON object
          """)
  void badOption_isNamedWithItsFix(String args, String said) {
    Outcome outcome = bench(args.split(" "));
    assertEquals(1, outcome.status(), outcome.text());
    assertTrue(outcome.text().contains(said), outcome.text());
  }
}
