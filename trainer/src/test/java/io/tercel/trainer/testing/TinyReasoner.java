package io.tercel.trainer.testing;

import static io.tercel.trainer.testing.Commands.run;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** A model of two layers that has learned a little, made once for all tests of a JVM. */
public final class TinyReasoner {
  private static final String RECIPE =
      """
      model.hidden=64
      model.ffn=128
      model.layers=2
      model.heads=2
      model.kvHeads=1
      model.headDim=32
      family.add=1
      stages=30:3e-3
      batch=16
      warmup=4
      evaluateEvery=100
      saveEvery=100
      heldOut=8
      """;

  private static final Path DIRECTORY = make();

  private TinyReasoner() {}

  /** The model in full precision. */
  public static Path teacher() {
    return DIRECTORY.resolve("run/model");
  }

  /**
   * The model quantized, with its training state.
   *
   * @param format w3 (W3G128, RTN) or w4 (W4A4KV4, FlatQuant)
   */
  public static Path student(String format) {
    return DIRECTORY.resolve(format);
  }

  private static Path make() {
    try {
      Path directory = Files.createTempDirectory("tiny-reasoner");
      Path recipe = directory.resolve("recipe.properties");
      Files.writeString(recipe, RECIPE);
      Path calibration = directory.resolve("calibration.jsonl");
      Files.writeString(calibration, "{\"problem\": \"2+3?\"}\n{\"problem\": \"71+28?\"}\n");
      Path model = directory.resolve("run");
      succeed("train", "--recipe", recipe.toString(), "--out", model.toString());
      model = model.resolve("model");
      quantize(model, directory.resolve("w3"), "--format=w3g128", "--method=rtn");
      quantize(
          model,
          directory.resolve("w4"),
          "--format=w4a4kv4",
          "--method=flatquant",
          "--epochs=1",
          "--self-traces",
          "--calibration=" + calibration);
      return directory;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void quantize(Path model, Path to, String... more) {
    List<String> all = new ArrayList<>(List.of("quantize", "--model", model.toString()));
    all.addAll(List.of("--out", to.toString()));
    all.addAll(List.of(more));
    succeed(all.toArray(String[]::new));
  }

  private static void succeed(String... command) {
    String error = run(command);
    if (!error.isEmpty()) {
      throw new IllegalStateException(error);
    }
  }
}
