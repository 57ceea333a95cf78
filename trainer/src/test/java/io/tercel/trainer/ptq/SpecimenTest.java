package io.tercel.trainer.ptq;

import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.ops.Ops;
import io.tercel.kernels.testing.Specimen;
import io.tercel.kernels.vector.VectorOps;
import io.tercel.server.text.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** On a trained model, if one lies beside the repository: three bits hurt, GPTQ hurts less. */
class SpecimenTest {
  @TempDir private Path temp;

  @Test
  void gptq_answersMoreThanRtn() throws IOException {
    Optional<Path> found = Specimen.find();
    assumeTrue(found.isPresent(), "no specimen");
    Path specimen = found.orElseThrow();
    List<JsonNode> problems = new ArrayList<>();
    for (String line : Files.readAllLines(specimen.resolve("heldout.jsonl"))) {
      problems.add(new ObjectMapper().readTree(line));
    }
    // half to observe, half to judge by
    List<JsonNode> seen = problems.subList(0, 75);
    List<JsonNode> unseen = problems.subList(75, 150);
    int full;
    try (Checkpoint source = Checkpoint.open(specimen);
        Tokenizer tokenizer = Tokenizer.open(specimen);
        Ops ops = new VectorOps(1)) {
      CalibrationReader reader = new CalibrationReader(tokenizer, 64, true);
      List<int[]> prompts = new ArrayList<>();
      for (JsonNode problem : seen) {
        prompts.add(reader.document(problem.toString(), "problem"));
      }
      Calibration traces =
          new Calibration(
              SelfTraces.write(
                  source, prompts, tokenizer.endTokens(source.config().eosTokenIds()), 160, 1, 1));
      QuantizeOptions plain = QuantizeOptions.rtn(false);
      Quantizer.quantize(source, temp.resolve("rtn"), null, plain, ops, (name, n) -> {});
      Quantizer.quantize(
          source, temp.resolve("gptq"), traces, QuantizeOptions.gptq(), ops, (name, n) -> {});
      full = right(specimen, unseen);
    }
    int rtn = right(temp.resolve("rtn"), unseen);
    int gptq = right(temp.resolve("gptq"), unseen);
    System.out.printf("right of 75: full %d, RTN %d, GPTQ %d%n", full, rtn, gptq);
    assertTrue(full > 60, "full precision " + full);
    assertTrue(gptq > rtn + 8, "GPTQ " + gptq + ", RTN " + rtn);
    assertTrue(gptq > 50, "GPTQ " + gptq);
  }

  private static int right(Path model, List<JsonNode> problems) throws IOException {
    try (Checkpoint checkpoint = Checkpoint.open(model);
        Tokenizer tokenizer = Tokenizer.open(model)) {
      List<String> answers = PtqStudy.answers(checkpoint, tokenizer, problems);
      int right = 0;
      for (int i = 0; i < answers.size(); i++) {
        String boxed = "\\boxed{" + problems.get(i).get("answer").asText() + "}";
        right += answers.get(i).endsWith(boxed) ? 1 : 0;
      }
      return right;
    }
  }
}
