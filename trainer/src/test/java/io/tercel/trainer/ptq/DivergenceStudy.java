package io.tercel.trainer.ptq;

import ai.djl.ndarray.NDArray;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.tercel.server.text.Tokenizer;
import io.tercel.trainer.data.DataSpec;
import io.tercel.trainer.data.TrainingSet;
import io.tercel.trainer.qat.QatModel;
import io.tercel.trainer.qat.TokenBatch;
import io.tercel.trainer.qat.TokenBatch.Example;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** How far quantized models are from their teacher, on texts that neither was trained on. */
final class DivergenceStudy {
  private static final int TEXTS = 400;

  private DivergenceStudy() {}

  /**
   * Forward KL over the whole vocabulary, nats a token: the mean of each text, and their mean with
   * its standard error. Caches are rounded as distillation rounds them.
   *
   * @param out JSON lines, {@code model} and {@code kl} of each text
   * @param students {@code LABEL=DIR} each
   */
  static void measure(Path out, String source, Path teacher, List<String> students)
      throws IOException {
    StringBuilder lines = new StringBuilder();
    List<Example> texts;
    try (Tokenizer tokenizer = Tokenizer.open(teacher);
        TrainingSet set =
            TrainingSet.open(
                DataSpec.of(source).withSeed(20_000).forEvaluation(), tokenizer, _ -> {})) {
      texts = set.batch(0, TEXTS);
    }
    List<float[]> expected;
    try (QatModel model = QatModel.load(teacher)) {
      expected = logProbs(model, texts);
    }
    for (String named : students) {
      int equals = named.indexOf('=');
      try (QatModel student = QatModel.loadQuantized(Path.of(named.substring(equals + 1)))) {
        student.cacheBits(student.precision().inputs() == 4 ? 4 : 16);
        List<float[]> actual = logProbs(student, texts);
        double[] kl = new double[texts.size()];
        var line = new ObjectMapper().createObjectNode().put("model", named.substring(0, equals));
        var values = line.putArray("kl");
        for (int i = 0; i < kl.length; i++) {
          int vocab = student.config().vocabSize();
          kl[i] = divergence(expected.get(i), actual.get(i), vocab);
          values.add(Math.round(kl[i] * 1e6) / 1e6);
        }
        lines.append(line).append('\n');
        System.out.printf("| %s | %s |%n", named.substring(0, equals), AnswerStudy.mean(kl, 1, 4));
      }
    }
    Files.writeString(out, lines);
  }

  /** [rows of predictions][vocab] of each text. */
  private static List<float[]> logProbs(QatModel model, List<Example> texts) {
    List<float[]> all = new ArrayList<>();
    for (Example text : texts) {
      List<float[]> parts = new ArrayList<>();
      model.evaluate(
          TokenBatch.of(List.of(text)),
          (NDArray logits, int first) -> parts.add(logits.logSoftmax(-1).toFloatArray()));
      int length = parts.stream().mapToInt(part -> part.length).sum();
      float[] whole = new float[length];
      int at = 0;
      for (float[] part : parts) {
        System.arraycopy(part, 0, whole, at, part.length);
        at += part.length;
      }
      all.add(whole);
    }
    return all;
  }

  private static double divergence(float[] teacher, float[] student, int vocab) {
    double sum = 0;
    for (int i = 0; i < teacher.length; i++) {
      sum += Math.exp(teacher[i]) * (teacher[i] - student[i]);
    }
    return sum / (teacher.length / vocab);
  }
}
