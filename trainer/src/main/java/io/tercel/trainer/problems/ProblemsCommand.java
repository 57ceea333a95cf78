package io.tercel.trainer.problems;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.tercel.server.UserException;
import io.tercel.server.cli.Command;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** {@code tercel problems}: writes generated problems as JSONL. */
@picocli.CommandLine.Command(
    name = "problems",
    description = "Writes generated reasoning problems, worked step by step, as JSONL.",
    mixinStandardHelpOptions = true)
public final class ProblemsCommand implements Command {
  @Option(
      names = "--family",
      split = ",",
      required = true,
      paramLabel = "NAME",
      description = "add, sub, mul, rem, compare, story; parts, mod, wallet, sum, base")
  private @Nullable List<String> families;

  @Option(names = "--n", paramLabel = "N", description = "how many, all different")
  private int count = 100;

  @Option(names = "--seed", paramLabel = "S", description = "default 1")
  private long seed = 1;

  @Option(
      names = "--held-out",
      description = "from the set that training never sees, instead of the training set")
  private boolean heldOut;

  @Option(names = "--out", required = true, paramLabel = "FILE", description = "JSONL to write")
  private @Nullable Path out;

  /** Constructed by picocli. */
  public ProblemsCommand() {}

  @Override
  public Integer call() {
    if (count < 1) {
      throw new UserException("--n must be at least 1");
    }
    Map<String, Double> weights = new LinkedHashMap<>();
    Objects.requireNonNull(families).forEach(family -> weights.put(family.strip(), 1.0));
    Path file = Objects.requireNonNull(out);
    try {
      Partition partition = heldOut ? Partition.HELD_OUT : Partition.TRAINING;
      List<Problem> problems = ProblemMix.of(weights).distinct(seed, partition, count);
      StringBuilder lines = new StringBuilder();
      ObjectMapper mapper = new ObjectMapper();
      for (Problem problem : problems) {
        lines.append(
            mapper
                .createObjectNode()
                .put("problem", problem.question())
                .put("answer", problem.answer())
                .put("family", problem.family())
                .put("text", problem.response()));
        lines.append('\n');
      }
      Files.writeString(file, lines);
    } catch (IllegalArgumentException e) {
      throw new UserException(String.valueOf(e.getMessage()), e);
    } catch (IOException e) {
      throw new UserException(file + ": cannot be written: " + e.getMessage(), e);
    }
    System.out.println(count + " problems in " + file);
    return 0;
  }
}
