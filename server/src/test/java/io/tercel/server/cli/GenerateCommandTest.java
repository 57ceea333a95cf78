package io.tercel.server.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.server.UserException;
import io.tercel.server.call.Json;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine;

/** {@code tercel generate} from its arguments on. */
class GenerateCommandTest {
  @TempDir private Path folder;
  private final StringWriter errors = new StringWriter();

  private int generate(String... args) {
    CommandLine line = new CommandLine(new GenerateCommand());
    line.setErr(new PrintWriter(errors, true));
    line.setExecutionExceptionHandler(
        (e, command, parsed) -> {
          if (e instanceof UserException) {
            command.getErr().println(e.getMessage());
            return 1;
          }
          throw e;
        });
    return line.execute(args);
  }

  @Test
  void aModelInThisProcess_withChoicesAndAName() throws Exception {
    Path model = Files.createDirectory(folder.resolve("model"));
    TinyCheckpoint.qwen3().layers(1).vocab(300).write(model);
    Path input = folder.resolve("x.jsonl");
    Path output = folder.resolve("y.jsonl");
    String prompt =
        "{\"prompt\": [1, 2, 3], \"max_tokens\": 4, \"ignore_eos\": true, \"model\": \"%s\"}";
    Files.write(input, List.of(prompt.formatted("mine"), prompt.formatted("other")));
    List<String> args =
        new ArrayList<>(
            List.of("--input", input.toString(), "--output", output.toString(), "-n", "3"));
    args.addAll(List.of("--model", model.toString(), "--served-model-name", "mine"));
    args.addAll(List.of("--service-class", "rollout", "--max-num-seqs", "4"));
    assertEquals(GenerateCommand.SOME_FAILED, generate(args.toArray(String[]::new)));
    List<String> lines = Files.readAllLines(output);
    JsonNode first = Json.MAPPER.readTree(lines.getFirst());
    assertEquals(3, first.at("/response/body/choices").size(), lines.getFirst());
    assertEquals(12, first.at("/response/body/usage/completion_tokens").asInt());
    JsonNode second = Json.MAPPER.readTree(lines.getLast());
    assertEquals(404, second.at("/response/status_code").asInt(), lines.getLast());
    assertEquals(0, generate(args.toArray(String[]::new)), "nothing new, so nothing new failed");
    assertEquals(lines, Files.readAllLines(output));
    args.add("--overwrite");
    Files.write(input, List.of(prompt.formatted("mine")));
    assertEquals(0, generate(args.toArray(String[]::new)), errors::toString);
    assertEquals(1, Files.readAllLines(output).size());
  }

  @ParameterizedTest
  @CsvSource({
    "'--input absent --output y', --input: there is no file absent",
    "'--input . --output y', --input: there is no file .",
    "'--input pom.xml --output y --url http://x --model m', --url and --model",
    "'--input pom.xml --output y --service-class night', there is no class 'night'",
    "'--input pom.xml --output y --in-flight 0', --in-flight: at least 1",
    "'--input pom.xml --output ./pom.xml --overwrite', --output: is the file of --input",
    "'--input pom.xml --output y -n -1', -n: at least 1",
  })
  void faults_nameTheOption(String args, String says) {
    assertEquals(1, generate(args.split(" ")));
    assertTrue(errors.toString().contains(says), errors.toString());
  }
}
