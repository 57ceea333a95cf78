package io.tercel.kernels.format;

import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A model directory in the layout of Hugging Face, with plain, 3-bit or 4-bit linears: its config
 * and its tensors, mapped and checked, not yet loaded. Opening it allocates nothing but what the
 * headers take. To be closed once loaded: that unmaps the files.
 */
public final class Checkpoint implements AutoCloseable {
  private final Path directory;
  private final Arena arena;
  private final ModelConfig config;
  private final GenerationDefaults generationDefaults;
  private final LinearSource.Plain embedding;
  private final LinearSource.@Nullable Plain head;
  private final @Nullable Tensor ownHead;
  private final Tensor finalNorm;
  private final List<LayerSource> layers;
  private final List<String> unexpectedTensors;
  private final byte[] settings;
  private final List<SafetensorsFile> files;

  private Checkpoint(Path directory, Arena arena) {
    this.directory = directory;
    this.arena = arena;
    if (!Files.isDirectory(directory)) {
      throw new CheckpointException(directory + ": not a directory");
    }
    // before they are read, so that it can be seen afterwards whether others were read
    settings = CheckpointFingerprint.ofSmall(settingFiles());
    JsonSection json = JsonSection.read(directory.resolve("config.json"), 16 << 20);
    generationDefaults = GenerationDefaults.read(directory);
    config = ModelConfigReader.read(json, generationDefaults.eosTokenIds());
    boolean w4 = W4Settings.declared(directory, json);
    CompressedSettings compressed = w4 ? null : CompressedSettings.read(directory, json);
    GptqSettings gptq = w4 || compressed != null ? null : GptqSettings.read(directory, json);
    TensorTable tensors = TensorTable.open(directory, arena);
    files = tensors.files();
    CheckpointLayout layout = new CheckpointLayout(config, tensors, gptq, compressed, w4);
    embedding = layout.embedding();
    layers = layout.layers();
    finalNorm = layout.finalNorm();
    head = layout.head();
    ownHead = head == null ? tensors.peek("lm_head.weight") : null;
    unexpectedTensors =
        tensors.unused().stream().filter(name -> !name.endsWith("rotary_emb.inv_freq")).toList();
    for (String name : unexpectedTensors) {
      if (name.startsWith("model.") && !name.endsWith(".k_scale") && !name.endsWith(".v_scale")) {
        throw new CheckpointException(
            "%s is no part of the %s of %d layers that config.json describes; without it the model would compute something else"
                .formatted(
                    Objects.requireNonNull(tensors.peek(name)).where(),
                    config.architecture(),
                    config.numLayers()));
      }
    }
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

  private List<Path> settingFiles() {
    return Stream.of("config.json", GptqSettings.FILE, TensorTable.INDEX)
        .map(directory::resolve)
        .toList();
  }

  /**
   * What this checkpoint's contents may be known by: 64 hexadecimal digits that are others when its
   * files are. {@link CheckpointFingerprint} says what it is made of.
   *
   * @throws UncheckedIOException if its files can't be asked
   */
  public String fingerprint() {
    return CheckpointFingerprint.of(settings, files);
  }

  /** Whether the settings beside the tensors are still those that were read. */
  public boolean unchanged() {
    return Arrays.equals(settings, CheckpointFingerprint.ofSmall(settingFiles()));
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

  /**
   * Reads a tied model's own lm_head.weight, if there is one: it must be the embedding.
   *
   * @throws CheckpointException if it differs, so that one of the two is not meant
   */
  public void checkTiedHead() {
    Tensor own = ownHead;
    Tensor shared = embedding.weight();
    if (own == null) {
      return;
    }
    boolean same = own.shape().equals(shared.shape());
    if (same && own.dtype() == shared.dtype()) {
      same = own.data().mismatch(shared.data()) < 0;
    } else if (same && own.dtype().dense() != null) {
      for (long i = 0; i < own.elements() && same; i++) {
        same = own.floatAt(i) == shared.floatAt(i);
      }
    } else {
      same = false;
    }
    if (!same) {
      throw new CheckpointException(
          "%s differs from %s, but tie_word_embeddings is true; set it to false if the head is a matrix of its own, or leave this tensor out"
              .formatted(own.where(), shared.name()));
    }
  }

  /** [H]. */
  public Tensor finalNorm() {
    return finalNorm;
  }

  public List<LayerSource> layers() {
    return layers;
  }

  /**
   * Names of tensors outside the decoder that no part of it asked for: something for one line of
   * warning. A tied model's own lm_head.weight is among them, and scales for 8-bit keys and values;
   * rotary buffers are not.
   */
  public List<String> unexpectedTensors() {
    return unexpectedTensors;
  }

  @Override
  public void close() {
    arena.close();
  }
}
