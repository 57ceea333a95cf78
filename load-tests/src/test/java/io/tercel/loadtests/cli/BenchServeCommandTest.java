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
import java.util.Map;
import java.util.ServiceLoader;
import java.util.TreeMap;
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

  /** Each prompt holds what the server answered before, without its thinking; hits are told. */
  @Test
  void sessions_goOnFromTheServersAnswers(@TempDir Path directory) throws IOException {
    Path file = directory.resolve("sessions.json");
    try (ScriptedServer server = new ScriptedServer()) {
      server.play(
          (request, answer) -> {
            int turn = (request.get("messages").size() + 1) / 2;
            answer.thought("hm");
            answer.said("answer " + turn);
            answer.raw(
                ("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: {\"choices\":[],"
                        + "\"usage\":{\"prompt_tokens\":%d,\"completion_tokens\":2,"
                        + "\"prompt_tokens_details\":{\"cached_tokens\":%d}}}\n\n")
                    .formatted(100 * turn, 100 * (turn - 1)));
          });
      Outcome outcome =
          bench(
              server,
              ("--dataset sessions --session-turns 3 --max-concurrency 2 --num-prompts 12 --input-len"
                      + " 23 --session-turn-len 7 --think-time 0.001s --output-len 5 --warmup 0"
                      + " --save-detailed --save-result "
                      + file)
                  .split(" "));
      assertEquals(0, outcome.status(), outcome.text());
      assertTrue(outcome.text().contains("TTFT p50 ms"), outcome.text());
      assertTrue(outcome.text().contains("66.67 %"), outcome.text()); // of turn 3
      Map<Integer, Integer> turns = new TreeMap<>();
      for (JsonNode request : server.requests) {
        JsonNode messages = request.get("messages");
        turns.merge((messages.size() + 1) / 2, 1, Integer::sum);
        assertEquals(10, messages.at("/0/content").asText().split(" ").length); // (23 - 3) / 2
        for (int i = 1; i < messages.size(); i += 2) {
          assertEquals("assistant", messages.get(i).get("role").asText());
          assertEquals("answer " + (i + 1) / 2, messages.get(i).get("content").asText());
          assertEquals(2, messages.get(i + 1).get("content").asText().split(" ").length);
        }
      }
      assertEquals(12, turns.values().stream().mapToInt(Integer::intValue).sum());
      assertTrue(turns.keySet().containsAll(List.of(1, 2, 3)), () -> "" + turns);
    }
    JsonNode turns = json(file).get("turns");
    assertEquals(3, turns.size());
    assertEquals(2, turns.get(1).get("turn").asInt());
    int second = turns.get(1).get("completed").asInt();
    assertEquals(100 * second, turns.get(1).get("total_cached_tokens").asInt());
    assertEquals(200 * second, turns.get(1).get("total_input_tokens").asInt());
    assertEquals("hmanswer 1", json(file).at("/generated_texts/0").asText());
  }

  @Test
  void sharegpt_isAskedAsChat(@TempDir Path directory) throws IOException {
    Path file = directory.resolve("sharegpt.json");
    Files.writeString(
        file,
        """
        [{"conversations": [{"from": "human", "value": "too short"}, {"from": "gpt", "value": "x"}]},
         {"conversations": [{"from": "human", "value": "what is one and one"},
                            {"from": "gpt", "value": "it is two I think"}]}]
        """);
    try (ScriptedServer server = new ScriptedServer()) {
      Outcome outcome =
          bench(
              server,
              ("--dataset sharegpt --num-prompts 2 --max-concurrency 1 --dataset-path " + file)
                  .split(" "));
      assertEquals(0, outcome.status(), outcome.text());
      for (JsonNode request : server.requests) {
        assertEquals("what is one and one", request.at("/messages/0/content").asText());
        assertEquals(5, request.get("max_completion_tokens").asInt());
      }
    }
  }

  @Test
  void trace_isReplayedByItsTimes(@TempDir Path directory) throws IOException {
    Path file = directory.resolve("trace.jsonl");
    Path result = directory.resolve("result.json");
    Files.writeString(
        file,
        """
        {"timestamp": 100, "input_length": 9, "output_length": 3, "hash_ids": [1]}
        {"timestamp": 140, "input_length": 9, "output_length": 4, "hash_ids": [1]}
        {"timestamp": 300, "input_length": 5, "output_length": 5}
        {"timestamp": 9000, "input_length": 5, "output_length": 6}
        """);
    try (ScriptedServer server = new ScriptedServer()) {
      Outcome outcome =
          bench(
              server,
              ("--dataset trace --trace-speed 4 --duration 1s --warmup 0 --save-detailed"
                      + " --save-result "
                      + result
                      + " --dataset-path "
                      + file)
                  .split(" "));
      assertEquals(0, outcome.status(), outcome.text());
      assertEquals(3, server.requests.size()); // the last comes after the duration
      assertEquals(9, server.requests.get(0).get("prompt").size());
      assertEquals(server.requests.get(0).get("prompt"), server.requests.get(1).get("prompt"));
      assertTrue(server.requests.get(2).get("ignore_eos").asBoolean());
    }
    JsonNode json = json(result);
    assertEquals(List.of(3, 4, 5), ints(json.get("output_lens")));
    assertEquals(0, json.at("/start_times/0").asDouble());
    assertEquals(0.01, json.at("/start_times/1").asDouble(), 1e-9);
    assertEquals(0.05, json.at("/start_times/2").asDouble(), 1e-9);
  }

  private static List<Integer> ints(JsonNode list) {
    List<Integer> ints = new ArrayList<>();
    list.forEach(node -> ints.add(node.asInt()));
    return ints;
  }

  @Test
  void mix_tellsResultsByClass_andSendsGroupsTogether(@TempDir Path directory) throws IOException {
    Path file = directory.resolve("mix.json");
    try (ScriptedServer server = new ScriptedServer()) {
      Outcome outcome =
          bench(
              server,
              ("--mix chat=0.5,rollout=0.5 --group-size 4 --num-prompts 64 --ramp-up linear"
                      + " --ramp-up-start-rps 200 --ramp-up-end-rps 2000 --input-len 9 --output-len"
                      + " 2 --warmup 0 --save-detailed --save-result "
                      + file)
                  .split(" "));
      assertEquals(0, outcome.status(), outcome.text());
      assertTrue(outcome.text().contains("rollout "), outcome.text());
      assertTrue(outcome.text().contains("Request rate to (RPS):                     2000.00"));
      Map<String, Integer> groups = new TreeMap<>();
      for (JsonNode request : server.requests) {
        if (request.get("service_class").asText().equals("rollout")) {
          groups.merge(request.get("group_id").asText(), 1, Integer::sum);
        } else {
          assertFalse(request.has("group_id"));
        }
      }
      assertTrue(groups.size() > 2, () -> "" + groups);
      groups.forEach((id, samples) -> assertEquals(4, samples, id));
    }
    JsonNode json = json(file);
    int rollouts = json.at("/service_classes/rollout/completed").asInt();
    assertEquals(64, rollouts + json.at("/service_classes/chat/completed").asInt());
    assertEquals("linear", json.get("ramp_up_strategy").asText());
    for (int i = 0; i < 64; i += 4) {
      boolean together = json.at("/start_times/" + i).equals(json.at("/start_times/" + (i + 3)));
      assertEquals(json.at("/service_classes_of/" + i).asText().equals("rollout"), together);
    }
  }

  /** Requests in turn; a group stays together. */
  @Test
  void severalServers_getRequestsInTurn() throws IOException {
    try (ScriptedServer one = new ScriptedServer();
        ScriptedServer other = new ScriptedServer()) {
      String both = one.url() + "," + other.url() + "/v1";
      String[] args = "--input-len 9 --output-len 1 --warmup 0 --num-prompts 32".split(" ");
      List<String> all = new ArrayList<>(List.of("--base-url", both));
      all.addAll(List.of(args));
      assertEquals(0, bench(all.toArray(String[]::new)).status());
      assertEquals(16, one.requests.size());
      assertEquals(16, other.requests.size());
      all.addAll(List.of("--group-size", "4"));
      assertEquals(0, bench(all.toArray(String[]::new)).status());
      assertEquals(64, one.requests.size() + other.requests.size());
      for (ScriptedServer server : List.of(one, other)) {
        Map<String, Integer> groups = new TreeMap<>();
        server.requests.stream()
            .skip(16)
            .forEach(request -> groups.merge(request.get("group_id").asText(), 1, Integer::sum));
        groups.forEach((id, samples) -> assertEquals(4, samples, id));
      }
    }
  }

  /** Trials of 10, 20 and twice 40 requests, at 200, 400 and 800 a second; it takes 30. */
  @Test
  void findRate_findsWhatTheServerBears(@TempDir Path directory) throws IOException {
    Path file = directory.resolve("rate.json");
    Path plot = directory.resolve("rate.png");
    try (ScriptedServer server = new ScriptedServer()) {
      server.play(
          (request, answer) -> {
            if (server.requests.size() > 30) {
              answer.refuse(429, "full");
              return;
            }
            answer.token("x");
            answer.end(9, 1, 0);
          });
      Outcome outcome =
          bench(
              server,
              ("--find-rate --goodput ttft:60000 --goodput e2el:60000,tpot:60000 --request-rate 200"
                      + " --burstiness inf --duration 0.05s --num-prompts 10 --rate-resolution 1"
                      + " --slo-attainment 0.9 --warmup 0 --input-len 9 --output-len 1"
                      + " --save-result "
                      + file
                      + " --plot "
                      + plot)
                  .split(" "));
      assertEquals(0, outcome.status(), outcome.text());
      assertTrue(outcome.text().contains("missed; once more"), outcome.text());
      assertTrue(
          outcome.text().contains("Highest rate with 90 % of the requests in time: 400.000 req/s"),
          outcome.text());
      assertEquals(10 + 20 + 40 + 40, server.requests.size());
    }
    JsonNode json = json(file);
    JsonNode search = json.get("rate_search");
    assertEquals(400, search.get("highest_rate").asDouble());
    assertEquals(800, search.get("lowest_missed_rate").asDouble());
    assertEquals(400, json.get("request_rate").asDouble()); // the run that it found
    assertEquals(0.9, search.get("slo_attainment").asDouble());
    assertEquals(4, search.get("trials").size());
    JsonNode last = search.get("trials").get(3);
    assertEquals(2, last.get("attempt").asInt());
    assertFalse(last.get("kept").asBoolean());
    assertEquals(0, last.get("attainment").asDouble());
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
          --weights .                              | --admin-url and --weights belong together
          --admin-url http://x --weights absent    | --weights: absent is no directory
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
          --dataset trace                          | --dataset-name trace: --dataset-path FILE is missing
          --dataset sessions                       | --dataset-name sessions: needs --max-concurrency
          --dataset sessions --max-concurrency 1 --request-rate 1 | sessions: needs --max-concurrency
          --dataset sessions --max-concurrency 1 --endpoint /v1/completions | sessions need a chat
          --dataset sessions --max-concurrency 1 --session-turns 0 | --session-turns: 0; expected
          --dataset sessions --max-concurrency 1 --think-time x | --think-time: 'x'; expected a time
          --dataset sessions --max-concurrency 1 --group-size 2 | are not for sessions
          --trace-speed 0                          | --trace-speed: 0.0; expected a number above 0
          --trace-block-size 0                     | --trace-block-size: 0; expected at least 1
          --ramp-up linear                         | give all three
          --ramp-up cubic --ramp-up-start-rps 1 --ramp-up-end-rps 2 | no 'cubic'; choose linear
          --ramp-up linear --ramp-up-start-rps 0 --ramp-up-end-rps 2 | --ramp-up-start-rps: 0.0
          --ramp-up linear --ramp-up-start-rps 1 --ramp-up-end-rps 2 --request-rate 5 | leave one out
          --mix chat=0.5                           | --mix: the shares sum up to 0.5; expected 1
          --mix chat=0.5,vip=0.5                   | --mix: 'vip=0.5'; expected chat, rollout
          --mix chat=x                             | --mix: 'chat=x'; expected chat, rollout
          --mix chat=1 --group-size 4              | --group-size: groups are of rollouts
          --group-size 0                           | --group-size: 0; expected 1 to 1024
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
          --base-url http://a:1,b                  | --base-url: 'b' is no address
          --backend grpc --grpc-target a:1,b       | --grpc-target: 'a:1,b'; expected HOST:PORT
          --base-url localhost:8000                | --base-url: 'localhost:8000' is no address
          --timeout 0                              | --timeout: '0'; expected a time above 0
          --extra-body [1]                         | --extra-body: not a JSON object
          """)
  void badOption_isNamedWithItsFix(String args, String said) {
    Outcome outcome = bench(args.split(" "));
    assertEquals(1, outcome.status(), outcome.text());
    assertTrue(outcome.text().contains(said), outcome.text());
  }

  /** Groups of a trainer, whose weights change while they are sampled. */
  @Test
  void groups_whileWeightsChange() throws Exception {
    try (ScriptedServer server = new ScriptedServer()) {
      server.play(
          (request, answer) -> {
            for (int i = 0; server.updates.size() < 3 && i < 500; i++) {
              Thread.sleep(10); // until weights have changed three times; not for long if never
            }
            answer.token("x");
            answer.end(8, 1, 0);
          });
      String[] load = {
        "--base-url",
        server.url(),
        "--num-prompts",
        "16",
        "--group-size",
        "8",
        "--warmup",
        "0",
        "--max-concurrency",
        "16",
        "--admin-url",
        server.url(),
        "--weights",
        "src,target",
        "--update-interval",
        "0.05s"
      };
      Outcome outcome = bench(load);
      assertEquals(0, outcome.status(), outcome.text());
      assertTrue(outcome.text().matches("(?s).*\\d+ times new weights.*"), outcome.text());
      assertTrue(server.updates.get(0).endsWith("src"), server.updates + "");
      assertTrue(server.updates.get(1).endsWith("target"), server.updates + "");
      server.updates.clear();
      server.refusesUpdates = true;
      outcome = bench(load);
      assertEquals(1, outcome.status(), outcome.text());
      assertTrue(outcome.text().contains("new weights FAILED: 400"), outcome.text());
    }
  }
}
