package io.tercel.kernels.tornado;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.kernels.ops.TokenResult;
import io.tercel.kernels.testing.WordLevel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The model that comes along answers 50 problems on the device as it does on the CPU. */
@Tag("device")
class BundledModelTest {
  private static final Path MODEL = Path.of("../../server/models/bundled");
  private static final int PROBLEMS = 50;
  private static final int LIMIT = 200;
  private static final int BATCH = 8;
  private static final int END = 1;

  @ParameterizedTest
  @EnumSource(
      value = KvType.class,
      names = {"FP16", "INT4"})
  void answers_equalTheCpus(KvType type) {
    WordLevel tokenizer = WordLevel.open(MODEL);
    List<List<Integer>> prompts = new ArrayList<>();
    List<Integer> sums = new ArrayList<>();
    Random random = new Random(6);
    for (int i = 0; i < PROBLEMS; i++) {
      int a = 100 + random.nextInt(900);
      int b = 10 + random.nextInt(990);
      sums.add(a + b);
      String problem = "What is %d + %d?".formatted(a, b);
      prompts.add(
          tokenizer.encode(
              "<|im_start|>user\n%s<|im_end|>\n<|im_start|>assistant\n<think>\n"
                  .formatted(problem)));
    }
    try (WeightStore weights = DeviceLab.load(MODEL);
        DeviceLab lab = new DeviceLab(weights, type)) {
      int right = 0;
      double difference = 0;
      int tokens = 0;
      for (int from = 0; from < PROBLEMS; from += BATCH) {
        int to = Math.min(PROBLEMS, from + BATCH);
        List<List<Integer>> some = prompts.subList(from, to);
        List<List<TokenResult>> expected = DeviceLab.generate(lab.vector, some, LIMIT, END);
        List<List<TokenResult>> actual = DeviceLab.generate(lab.tornado, some, LIMIT, END);
        for (int i = 0; i < some.size(); i++) {
          assertEquals(ids(expected.get(i)), ids(actual.get(i)), "problem " + (from + i));
          String text = tokenizer.decode(ids(actual.get(i)));
          right += text.contains("\\boxed{" + sums.get(from + i) + "}") ? 1 : 0;
          for (int t = 0; t < expected.get(i).size(); t++) {
            float a = expected.get(i).get(t).logprob();
            difference += Math.abs(a - actual.get(i).get(t).logprob());
            tokens++;
          }
        }
      }
      System.out.printf(
          "%s: %d of %d right, on the device as on the CPU; mean |log-prob difference| %.2g over %d tokens%n",
          type.label(), right, PROBLEMS, difference / tokens, tokens);
      assertEquals(0, difference, "log-probs");
      assertTrue(right > PROBLEMS * 3 / 4, right + " right");
    }
  }

  private static List<Integer> ids(List<TokenResult> text) {
    return text.stream().map(TokenResult::tokenId).toList();
  }
}
