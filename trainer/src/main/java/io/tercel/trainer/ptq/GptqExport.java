package io.tercel.trainer.ptq;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.format.DType;
import io.tercel.kernels.format.LayerSource;
import io.tercel.kernels.format.LinearSource;
import io.tercel.kernels.format.Tensor;
import io.tercel.server.UserException;
import io.tercel.trainer.files.AtomicFile;
import io.tercel.trainer.files.SafetensorsWriter;
import io.tercel.trainer.quant.GptqTensors;
import io.tercel.trainer.quant.Grid;
import io.tercel.trainer.quant.PtqState;
import io.tercel.trainer.quant.QuantizedMatrix;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A model directory with 3-bit GPTQ linears as it is being written: beside its final place, under
 * another name, until {@link #commit} moves it there whole. Embedding, head, norms and biases are
 * copied as the bytes they are.
 */
final class GptqExport implements AutoCloseable {
  private static final ObjectMapper JSON = new ObjectMapper();

  /** What travels along beside config.json: tokenizer, templates, generation, licence. */
  private static final List<String> COMPANIONS =
      List.of(
          "generation_config.json",
          "tokenizer*",
          "special_tokens_map.json",
          "added_tokens.json",
          "vocab.json",
          "merges.txt",
          "chat_template.*",
          "LICENSE*",
          "NOTICE*");

  private final Path target;
  private final Path directory;
  private final boolean v2;
  private final SafetensorsWriter model;
  private final @Nullable SafetensorsWriter state;
  private boolean committed;

  /**
   * Makes the directory and copies all that is not quantized.
   *
   * @param v2 the checkpoint format: zero points stored as they are
   * @param keepState whether to write what training starts from
   * @throws UserException if the target is there already
   */
  GptqExport(Checkpoint source, Path target, QuantizeOptions options, boolean v2, boolean keepState)
      throws IOException {
    this.target = target.toAbsolutePath();
    this.v2 = v2;
    checkTarget(this.target);
    Path parent = this.target.getParent();
    if (parent == null) {
      throw new UserException("--out: " + target + " is no place for a model");
    }
    Files.createDirectories(parent);
    // not createTempDirectory, which would leave the model readable to its owner alone
    directory =
        Files.createDirectory(
            parent.resolve(
                ".%s.partial-%d"
                    .formatted(this.target.getFileName(), ProcessHandle.current().pid())));
    try {
      copyCompanions(source.directory());
      writeConfig(source.directory(), options);
      model = SafetensorsWriter.create(directory.resolve("model.safetensors"), entries(source));
      state = keepState ? openState(source) : null;
      for (Tensor tensor : unquantized(source)) {
        model.write(tensor.name(), tensor.data());
      }
    } catch (IOException | RuntimeException e) {
      delete(directory);
      throw e;
    }
  }

  /** Refuses a place where something lies. */
  static void checkTarget(Path target) throws IOException {
    if (!Files.exists(target)) {
      return;
    }
    if (Files.isDirectory(target)) {
      try (DirectoryStream<Path> files = Files.newDirectoryStream(target)) {
        if (!files.iterator().hasNext()) {
          return;
        }
      }
    }
    throw new UserException(
        "--out: " + target + " exists; name another directory or remove it first");
  }

  private SafetensorsWriter openState(Checkpoint source) throws IOException {
    List<SafetensorsWriter.Entry> entries = new ArrayList<>();
    for (LinearSource linear : linears(source)) {
      entries.addAll(PtqState.entries(linear.name(), linear.rows(), linear.cols()));
    }
    Path file = directory.resolve(PtqState.FILE);
    Files.createDirectories(directory.resolve("training-state"));
    return SafetensorsWriter.create(file, entries);
  }

  private static List<SafetensorsWriter.Entry> entries(Checkpoint source) {
    List<SafetensorsWriter.Entry> entries = new ArrayList<>();
    for (LinearSource linear : linears(source)) {
      long rows = linear.rows();
      long cols = linear.cols();
      long groups = Grid.groups(linear.cols());
      String name = linear.name();
      entries.add(new SafetensorsWriter.Entry(name + ".qweight", DType.I32, cols / 32 * 3, rows));
      entries.add(new SafetensorsWriter.Entry(name + ".qzeros", DType.I32, groups, rows / 32 * 3));
      entries.add(new SafetensorsWriter.Entry(name + ".scales", DType.F16, groups, rows));
      entries.add(new SafetensorsWriter.Entry(name + ".g_idx", DType.I32, cols));
    }
    for (Tensor tensor : unquantized(source)) {
      entries.add(new SafetensorsWriter.Entry(tensor.name(), tensor.dtype(), tensor.shape()));
    }
    return entries;
  }

  /** The linear layers of a checkpoint, in its order. */
  static List<LinearSource> linears(Checkpoint source) {
    List<LinearSource> linears = new ArrayList<>();
    for (LayerSource l : source.layers()) {
      linears.addAll(l.matrices());
    }
    return linears;
  }

  private static List<Tensor> unquantized(Checkpoint source) {
    List<Tensor> tensors = new ArrayList<>();
    tensors.add(source.embedding().weight());
    tensors.add(source.finalNorm());
    LinearSource.Plain head = source.head();
    if (head != null) {
      tensors.add(head.weight());
      addIfPresent(tensors, head.bias());
    }
    for (LayerSource layer : source.layers()) {
      tensors.addAll(layer.norms());
    }
    for (LinearSource linear : linears(source)) {
      addIfPresent(tensors, linear.bias());
    }
    return tensors;
  }

  private static void addIfPresent(List<Tensor> tensors, @Nullable Tensor tensor) {
    if (tensor != null) {
      tensors.add(tensor);
    }
  }

  private void copyCompanions(Path from) throws IOException {
    String pattern = "{" + String.join(",", COMPANIONS) + "}";
    try (DirectoryStream<Path> files = Files.newDirectoryStream(from, pattern)) {
      for (Path file : files) {
        if (Files.isRegularFile(file)) {
          copy(file, directory);
        }
      }
    }
    Path templates = from.resolve("additional_chat_templates");
    if (Files.isDirectory(templates)) {
      Path copies = Files.createDirectories(directory.resolve("additional_chat_templates"));
      try (DirectoryStream<Path> files = Files.newDirectoryStream(templates, "*.jinja")) {
        for (Path file : files) {
          copy(file, copies);
        }
      }
    }
  }

  /** The bytes alone: a file of the hub's cache may be a link, and read-only. */
  private static void copy(Path file, Path into) throws IOException {
    try (InputStream in = Files.newInputStream(file)) {
      Files.copy(in, into.resolve(String.valueOf(file.getFileName())));
    }
  }

  private void writeConfig(Path from, QuantizeOptions options) throws IOException {
    ObjectNode quantization =
        JSON.createObjectNode()
            .put("quant_method", "gptq")
            .put("bits", 3)
            .put("group_size", Grid.GROUP)
            .put("desc_act", false)
            .put("sym", options.symmetric())
            .put("lm_head", false)
            .put("checkpoint_format", v2 ? "gptq_v2" : "gptq");
    ObjectNode config = (ObjectNode) JSON.readTree(Files.readAllBytes(from.resolve("config.json")));
    config.set("quantization_config", quantization);
    AtomicFile.write(directory.resolve("config.json"), config.toPrettyString() + "\n");
    AtomicFile.write(
        directory.resolve("quantize_config.json"), quantization.toPrettyString() + "\n");
  }

  /**
   * Writes one layer.
   *
   * @param latents what its codes were rounded from
   */
  void write(String name, QuantizedMatrix matrix, float[] latents) throws IOException {
    model.write(name + ".qweight", GptqTensors.qweight(matrix));
    model.write(name + ".qzeros", GptqTensors.qzeros(matrix, v2));
    model.write(name + ".scales", GptqTensors.scales(matrix));
    model.write(name + ".g_idx", GptqTensors.gIdx(matrix));
    if (state != null) {
      PtqState.write(state, name, matrix, latents);
    }
  }

  /** Writes the report and moves the finished directory to its place. */
  void commit(QuantizeReport report) throws IOException {
    AtomicFile.write(
        directory.resolve("quantize_report.json"), report.toJson().toPrettyString() + "\n");
    model.finish();
    if (state != null) {
      state.finish();
    }
    AtomicFile.forceDirectory(directory);
    AtomicFile.move(directory, target); // replaces an empty directory; anything else was refused
    committed = true;
  }

  @Override
  public void close() throws IOException {
    model.close();
    if (state != null) {
      state.close();
    }
    if (!committed) {
      delete(directory);
    }
  }

  private static void delete(Path directory) throws IOException {
    try (Stream<Path> files = Files.walk(directory)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(file);
      }
    }
  }
}
