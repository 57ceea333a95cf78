package io.tercel.kernels.testing;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DoubleReferenceTest {
  private static final int[] TOKENS = {5, 17, 99, 42, 3, 17, 64, 120};

  @TempDir Path temp;

  @Test
  void rope_golden() {
    double[] turned = DoubleReference.rope(new double[] {1, 2, 3, 4, 5, 6, 7, 8}, 3, 1e4);
    double[] expected = {
      -1.695593, .137552, 2.788682, 3.975982, -4.808842, 6.323059, 7.086837, 8.011964
    };
    assertArrayEquals(expected, turned, 1e-6);
  }

  @Test
  void logProbs_sumToOne_andAreSpread() {
    Path dir = TinyCheckpoint.qwen2().write(temp);
    for (double[] row : DoubleReference.open(dir).logProbs(TOKENS)) {
      assertEquals(1, Arrays.stream(row).map(Math::exp).sum(), 1e-12);
      double max = Arrays.stream(row).max().orElseThrow();
      assertTrue(max > Math.log(4.0 / row.length), "as flat as chance: " + max);
    }
  }

  @Test
  void logits_ofThePast_ignoreTheFuture() {
    DoubleReference reference = DoubleReference.open(TinyCheckpoint.qwen3().write(temp));
    double[][] whole = reference.logits(TOKENS);
    int[] changed = TOKENS.clone();
    changed[5] = 77;
    double[][] other = reference.logits(changed);
    for (int t = 0; t < 5; t++) {
      assertArrayEquals(whole[t], other[t]);
    }
    assertTrue(Math.abs(whole[7][0] - other[7][0]) > 1e-9);
  }

  @Test
  void qwen3_headNorm_undoesTheScaleOfAHead() {
    Path plain = TinyCheckpoint.qwen3().dtype("F32").write(temp.resolve("plain"));
    Path scaled =
        TinyCheckpoint.qwen3()
            .dtype("F32")
            .editTensors(
                t ->
                    t.computeIfPresent(
                        "model.layers.0.self_attn.q_proj.weight",
                        (_, q) -> {
                          float[] w = q.toFloats();
                          for (int i = 0; i < 32 * 64; i++) {
                            w[i] *= 8;
                          }
                          return RawTensor.floats("F32", w, q.shape());
                        }))
            .write(temp.resolve("scaled"));
    double[][] expected = DoubleReference.open(plain).logits(TOKENS);
    double[][] found = DoubleReference.open(scaled).logits(TOKENS);
    for (int t = 0; t < TOKENS.length; t++) {
      // eps is not scaled along
      assertArrayEquals(expected[t], found[t], 1e-4);
    }
  }

  @Test
  void gptqDirectory_equalsItsDequantizedWeightsInFp32() {
    TinyCheckpoint quantized =
        TinyCheckpoint.qwen2().hidden(96).gptq(GptqVariant.ASYM_ACT_ORDER_V2);
    quantized.write(temp.resolve("q"));
    Path dense =
        TinyCheckpoint.qwen2()
            .hidden(96)
            .dtype("F32")
            .editTensors(
                t ->
                    quantized
                        .weights()
                        .forEach(
                            (name, w) ->
                                t.computeIfPresent(
                                    name, (_, old) -> RawTensor.floats("F32", w, old.shape()))))
            .write(temp.resolve("d"));
    double[][] expected = DoubleReference.open(dense).logits(TOKENS);
    double[][] found = DoubleReference.open(temp.resolve("q")).logits(TOKENS);
    for (int t = 0; t < TOKENS.length; t++) {
      assertArrayEquals(expected[t], found[t]);
    }
  }

  @Test
  void quantizedCopy_staysNearThePlainModel() {
    Path plain = TinyCheckpoint.qwen3().shards(2).write(temp.resolve("plain"));
    Path copy =
        TinyCheckpoint.quantizedCopy(plain, temp.resolve("copy"), GptqVariant.SYM_ACT_ORDER, 1);
    double[] expected = DoubleReference.open(plain).logProbs(TOKENS)[7];
    double[] found = DoubleReference.open(copy).logProbs(TOKENS)[7];
    double meanShift = 0;
    for (int i = 0; i < expected.length; i++) {
      meanShift += Math.abs(expected[i] - found[i]) / expected.length;
    }
    assertTrue(meanShift > 1e-3 && meanShift < 3, "mean shift " + meanShift);
  }

  /** The texts beside the specimen were made by yet another implementation. */
  @Test
  void specimen_greedyTexts() throws Exception {
    assumeTrue(Specimen.find().isPresent(), "no specimen here");
    Path dir = Specimen.find().orElseThrow();
    ObjectMapper json = new ObjectMapper();
    JsonNode tokenizer = json.readTree(dir.resolve("tokenizer.json").toFile());
    String[] texts = new String[64];
    tokenizer
        .at("/model/vocab")
        .properties()
        .forEach(e -> texts[e.getValue().asInt()] = e.getKey());
    Pattern split = Pattern.compile(tokenizer.at("/pre_tokenizer/pattern/Regex").asText());
    DoubleReference reference = DoubleReference.open(dir);
    int different = 0;
    List<String> lines = Files.readAllLines(dir.resolve("heldout.jsonl")).subList(0, 40);
    for (String line : lines) {
      JsonNode problem = json.readTree(line);
      List<Integer> prompt = new ArrayList<>();
      Matcher word = split.matcher(problem.get("problem").asText());
      while (word.find()) {
        prompt.add(Arrays.asList(texts).indexOf(word.group()));
      }
      prompt.add(2); // <think>
      int[] ids = prompt.stream().mapToInt(Integer::intValue).toArray();
      StringBuilder found = new StringBuilder();
      for (int id : reference.greedy(ids, 300, List.of(1))) {
        found.append(id == 1 ? "" : texts[id]);
      }
      String expected = problem.get("greedy").asText();
      different += found.toString().equals(expected) ? 0 : 1;
    }
    assertTrue(different <= 1, different + " of " + lines.size() + " texts differ");
  }
}
