package io.tercel.kernels.format;

import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A model directory in the layout of Hugging Face, with plain or 3-bit GPTQ linears: its config and
 * its tensors, mapped and checked, not yet loaded. Opening it allocates nothing but what the
 * headers take. To be closed once loaded: that unmaps the files.
 */
public final class Checkpoint implements AutoCloseable {
  private final Path directory;
  private final Arena arena;
  private final ModelConfig config;
  private final GenerationDefaults generationDefaults;
  private final LinearSource.Plain embedding;
  private final LinearSource.@Nullable Plain head;
  private final Tensor finalNorm;
  private final List<LayerSource> layers;
  private final List<String> unexpectedTensors;

  private Checkpoint(Path directory, Arena arena) {
    this.directory = directory;
    this.arena = arena;
    if (!Files.isDirectory(directory)) {
      throw new CheckpointException(directory + ": not a directory");
    }
    JsonSection json = JsonSection.read(directory.resolve("config.json"), 16 << 20);
    generationDefaults = GenerationDefaults.read(directory);
    config = ModelConfigReader.read(json, generationDefaults.eosTokenIds());
    GptqSettings gptq = GptqSettings.read(directory, json);
    TensorTable tensors = TensorTable.open(directory, arena);
    CheckpointLayout layout = new CheckpointLayout(config, tensors, gptq);
    embedding = layout.embedding();
    layers = layout.layers();
    finalNorm = layout.finalNorm();
    head = layout.head();
    unexpectedTensors =
        tensors.unused().stream().filter(name -> !name.endsWith("rotary_emb.inv_freq")).toList();
  }

  /**
   * Opens a directory with config.json, model.safetensors (or its shards and their index) and
   * perhaps generation_config.json and quantize_config.json.
   *
   * @throws CheckpointException if anything about it cannot be used, in one line
   */
  public static Checkpoint open(Path directory) {
    // shared, because loading reads the tensors from several threads
    Arena arena = Arena.ofShared();
    try {
      return new Checkpoint(directory, arena);
    } catch (Throwable t) {
      arena.close();
      throw t;
    }
  }

  public Path directory() {
    return directory;
  }

  public ModelConfig config() {
    return config;
  }

  public GenerationDefaults generationDefaults() {
    return generationDefaults;
  }

  /** [vocab, H]. */
  public LinearSource.Plain embedding() {
    return embedding;
  }

  /** [vocab, H], or null when the head is the embedding. */
  public LinearSource.@Nullable Plain head() {
    return head;
  }

  /** [H]. */
  public Tensor finalNorm() {
    return finalNorm;
  }

  public List<LayerSource> layers() {
    return layers;
  }

  /**
   * Names of tensors that no part of the model asked for and that were not used: something for one
   * line of warning. A tied model's own lm_head.weight is among them; rotary buffers are not.
   */
  public List<String> unexpectedTensors() {
    return unexpectedTensors;
  }

  @Override
  public void close() {
    arena.close();
  }
}
