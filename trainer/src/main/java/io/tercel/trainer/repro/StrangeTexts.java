package io.tercel.trainer.repro;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.tercel.server.text.Tokenizer;
import io.tercel.trainer.files.AtomicFile;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Random;

/**
 * Texts of another domain than a small model knows: tokens of its vocabulary, each as likely as any
 * other, as long as a worked answer. What Wikitext2 is to a model that reasons.
 */
final class StrangeTexts {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final int TOKENS = 45;

  private StrangeTexts() {}

  /**
   * Writes a line a text.
   *
   * @param model whose tokenizer it is
   */
  static void write(Path model, Path to, int count, long seed) throws IOException {
    Random random = new Random(seed);
    StringBuilder lines = new StringBuilder();
    try (Tokenizer tokenizer = Tokenizer.open(model)) {
      for (int i = 0; i < count; i++) {
        int[] tokens = random.ints(TOKENS, 0, tokenizer.vocabSize()).toArray();
        String text = tokenizer.decode(tokens, true);
        lines.append(JSON.createObjectNode().put("text", text)).append('\n');
      }
    }
    AtomicFile.write(to, lines.toString());
  }
}
