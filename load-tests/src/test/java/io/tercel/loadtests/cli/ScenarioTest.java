package io.tercel.loadtests.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.tercel.loadtests.client.ScriptedServer;
import io.tercel.server.cli.Tercel;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Options of a file, through the whole command line. */
@Timeout(120)
class ScenarioTest {
  private static final Path EXAMPLES = Path.of("../docs/scenarios");

  @TempDir Path directory;
  private final PrintStream out = System.out;

  /** The whole command line prints where everybody sees it. */
  @BeforeEach
  void silence() {
    System.setOut(new PrintStream(OutputStream.nullOutputStream(), false, StandardCharsets.UTF_8));
  }

  @AfterEach
  void restore() {
    System.setOut(out);
  }

  private static int run(Path scenario, ScriptedServer server, String... more) {
    List<String> args =
        new ArrayList<>(
            List.of(
                "bench", "serve", "--scenario", scenario.toString(), "--base-url", server.url()));
    args.addAll(List.of(more));
    return Tercel.run(args.toArray(String[]::new));
  }

  private JsonNode result(Path scenario, String... more) throws IOException {
    Path file = directory.resolve("result.json");
    try (ScriptedServer server = new ScriptedServer()) {
      List<String> args = new ArrayList<>(List.of(more));
      args.addAll(List.of("--save-result", file.toString()));
      assertEquals(0, run(scenario, server, args.toArray(String[]::new)));
    }
    return new ObjectMapper().readTree(file.toFile());
  }

  /** Options under any of their names, of each kind; the command line goes before them. */
  @Test
  void file_hasOptionsUnderTheirNames() throws IOException {
    Path scenario =
        Files.writeString(
            directory.resolve("s.yaml"),
            """
            # all of it
            input-len: 9
            output-len: 3
            num-prompts: 50
            max-concurrency: 2
            save-detailed: true
            goodput: [ttft:60000, e2el:60000]
            mix: [chat=0.5, batch=0.5]
            think-time: 3s
            """);
    JsonNode json = result(scenario, "--num-prompts", "6");
    assertEquals(6, json.get("completed").asInt());
    assertEquals(9, json.at("/input_lens/0").asInt());
    assertEquals(3, json.at("/output_lens/0").asInt());
    assertEquals(2, json.get("max_concurrency").asInt());
    assertEquals(json.get("request_throughput"), json.get("request_goodput"));
    assertTrue(json.get("service_classes").size() >= 1);
  }

  @Test
  void badFile_isRefused() throws IOException {
    try (ScriptedServer server = new ScriptedServer()) {
      for (String bad :
          List.of("num-promts: 5", "scenario: x", "input-len: 1\nrandom-input-len: 2")) {
        assertEquals(1, run(Files.writeString(directory.resolve("b.yaml"), bad), server), bad);
      }
      assertEquals(1, run(directory.resolve("none.yaml"), server));
      assertEquals(0, server.requests.size());
    }
  }

  /** Each goes through; what it takes is cut down. */
  @Test
  void examples_run() throws IOException {
    List<Path> examples;
    try (Stream<Path> files = Files.list(EXAMPLES)) {
      examples = files.filter(file -> file.toString().endsWith(".yaml")).sorted().toList();
    }
    assertEquals(3, examples.size());
    for (Path example : examples) {
      List<String> less = new ArrayList<>(List.of("--num-prompts", "8", "--warmup", "0"));
      if (Files.readString(example).contains("find-rate: true")) {
        // nothing keeps this, so it ends soon
        less.addAll(List.of("--goodput", "ttft:0.0000001", "--duration", "0.000001s"));
        less.addAll(List.of("--request-rate", "1000000"));
      }
      try (ScriptedServer server = new ScriptedServer()) {
        int status = run(example, server, less.toArray(String[]::new));
        assertEquals(less.contains("--goodput") ? 1 : 0, status, example.toString());
        assertTrue(server.requests.size() >= 8, example.toString());
      }
    }
  }
}
