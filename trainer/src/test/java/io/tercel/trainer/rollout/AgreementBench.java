package io.tercel.trainer.rollout;

import io.tercel.server.call.Keys;
import io.tercel.server.engine.StaleKv;
import io.tercel.server.model.ServingOptions;
import io.tercel.trainer.data.PromptSet.Prompt;
import io.tercel.trainer.qat.QatModel;
import io.tercel.trainer.qat.TokenBatch;
import io.tercel.trainer.qat.TokenBatch.Example;
import io.tercel.trainer.qat.TokenLogProbs;
import io.tercel.trainer.rollout.Rollouts.Sampling;
import io.tercel.trainer.share.ServedStudent;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/**
 * How far engine and trainer are apart, free-running, on rollouts at temperature 1 from random
 * prompts: {@code AgreementBench STUDENT PROMPTS TOKENS KV…}.
 */
public final class AgreementBench {
  private AgreementBench() {}

  public static void main(String[] args) {
    Path student = Path.of(args[0]);
    int count = Integer.parseInt(args[1]);
    int tokens = Integer.parseInt(args[2]);
    for (String kv : Arrays.copyOfRange(args, 3, args.length)) {
      measure(student, count, tokens, kv);
    }
  }

  private static void measure(Path student, int count, int tokens, String kv) {
    List<Rollout> rollouts = new ArrayList<>();
    ServingOptions options =
        new ServingOptions().kvCacheDtype(kv).maxModelLen(tokens + 64).packedCache("off");
    try (ServedStudent served =
            ServedStudent.open(student, options, null, Keys.of(null, null), List.of());
        Rollouts asks =
            new Rollouts(served.running().served().engine(), new Sampling(1, 1, tokens))) {
      Random random = new Random(1);
      List<Prompt> prompts = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        int[] ids = random.ints(16, 3, 60).toArray();
        prompts.add(new Prompt("p" + i, ids, ""));
      }
      asks.groups(prompts, 1, 7, StaleKv.DROP).forEach(rollouts::addAll);
    }
    try (QatModel model = QatModel.loadQuantized(student)) {
      model.cacheBits(kv.equals("fp32") ? 32 : kv.equals("fp16") ? 16 : 4);
      double sum = 0;
      double worst = 0;
      long compared = 0;
      for (Rollout rollout : rollouts) {
        int before = rollout.prompt().tokens().length;
        int[] whole = Arrays.copyOf(rollout.prompt().tokens(), before + rollout.tokens().length);
        System.arraycopy(rollout.tokens(), 0, whole, before, rollout.tokens().length);
        float[] weights = new float[whole.length];
        Arrays.fill(weights, before, whole.length, 1);
        TokenBatch batch = TokenBatch.of(List.of(new Example(whole, weights)));
        double[] own = new double[rollout.tokens().length];
        model.evaluate(
            batch,
            (logits, first) -> {
              float[] values = TokenLogProbs.of(logits, first, batch).values();
              for (int i = 0; i < values.length; i++) {
                own[first + i] = values[i];
              }
            });
        for (int i = 0; i < own.length; i++) {
          double difference = Math.abs(own[i] - rollout.logProbs()[i]);
          sum += difference;
          worst = Math.max(worst, difference);
          compared++;
        }
      }
      System.out.printf(
          "%s, %s KV: %d tokens, mean |difference| %.2e, largest %.2e%n",
          student, kv, compared, sum / compared, worst);
    }
  }
}
