package io.tercel.trainer.data;

import static org.junit.jupiter.api.Assertions.assertThrows;

import io.tercel.server.UserException;
import io.tercel.server.text.Tokenizer;
import io.tercel.trainer.qat.TokenBatch.Example;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.function.Executable;

/** A folder with the bundled model's tokenizer, files to write and sets to open. */
final class DataFolder implements AutoCloseable {
  private static final Path BUNDLED = Path.of("../server/models/bundled");
  private static final Path TEMPLATES =
      Path.of("../server/src/test/resources/io/tercel/server/text/templates");

  final Path folder;
  final Tokenizer tokenizer;
  final List<String> notices = new CopyOnWriteArrayList<>();

  private DataFolder(Path folder, Tokenizer tokenizer) {
    this.folder = folder;
    this.tokenizer = tokenizer;
  }

  /** With the bundled model's own chat template. */
  static DataFolder of(Path folder) throws IOException {
    return new DataFolder(folder, Tokenizer.open(BUNDLED));
  }

  /** With the bundled model's tokens and a published chat template. */
  static DataFolder withTemplate(Path folder, String template) throws IOException {
    return withTemplateText(folder, Files.readString(TEMPLATES.resolve(template)));
  }

  /** With the bundled model's tokens and this chat template. */
  static DataFolder withTemplateText(Path folder, String template) throws IOException {
    Path model = Files.createDirectories(folder.resolve("model"));
    for (String name : List.of("tokenizer.json", "tokenizer_config.json")) {
      Files.copy(BUNDLED.resolve(name), model.resolve(name));
    }
    Files.writeString(model.resolve("chat_template.jinja"), template);
    return new DataFolder(folder, Tokenizer.open(model));
  }

  DataSpec file(String name, String text) throws IOException {
    return DataSpec.of(Files.writeString(folder.resolve(name), text).toString());
  }

  TrainingSet open(DataSpec spec) {
    return TrainingSet.open(spec, tokenizer, notices::add);
  }

  PromptSet prompts(DataSpec spec) {
    return PromptSet.open(spec, tokenizer, notices::add);
  }

  /** The tokens that are (or aren't) targets as text, special tokens included. */
  String text(Example example, boolean targets) {
    List<Integer> ids = new ArrayList<>();
    boolean begun = false;
    for (int i = 0; i < example.tokens().length; i++) {
      boolean target = example.weights()[i] == 1;
      if (begun && !target) {
        throw new AssertionError("a prompt token behind the response: " + i);
      }
      begun |= target;
      if (target == targets) {
        ids.add(example.tokens()[i]);
      }
    }
    return tokenizer.decode(ids.stream().mapToInt(Integer::intValue).toArray(), false);
  }

  /** The responses of an epoch, sorted. */
  List<String> responses(TrainingSet set) {
    int size = (int) set.size().orElseThrow();
    return set.batch(0, size).stream().map(example -> text(example, true)).sorted().toList();
  }

  static List<List<Integer>> ids(List<Example> examples) {
    return examples.stream()
        .map(example -> Arrays.stream(example.tokens()).boxed().toList())
        .toList();
  }

  /** What a refusal says. */
  static String refusal(Executable refused) {
    return String.valueOf(assertThrows(UserException.class, refused).getMessage());
  }

  @Override
  public void close() {
    tokenizer.close();
  }
}
