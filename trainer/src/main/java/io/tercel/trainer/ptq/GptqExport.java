package io.tercel.trainer.ptq;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.format.DType;
import io.tercel.kernels.format.LayerSource;
import io.tercel.kernels.format.LayerTensors.Norm;
import io.tercel.kernels.format.LinearSource;
import io.tercel.kernels.format.Tensor;
import io.tercel.trainer.files.AtomicFile;
import io.tercel.trainer.files.SafetensorsWriter;
import io.tercel.trainer.files.SafetensorsWriter.Entry;
import io.tercel.trainer.ptq.QuantizeReport.Line;
import io.tercel.trainer.quant.GptqTensors;
import io.tercel.trainer.quant.Grid;
import io.tercel.trainer.quant.PtqState;
import io.tercel.trainer.quant.QuantizedMatrix;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A model directory with 3-bit GPTQ linears as it is being written. Embedding, head and final norm
 * are copied as the bytes they are; layers come one by one, each with its norms and biases, and a
 * run that was cut short goes on behind the last whole one.
 */
final class GptqExport implements AutoCloseable {
  private static final String MODEL = "model.safetensors";

  private final ExportDirectory directory;
  private final boolean v2;
  private final SafetensorsWriter model;
  private final @Nullable SafetensorsWriter state;
  private final QuantizeJournal journal;

  /**
   * Begins, or goes on.
   *
   * @param settings all that decides what comes out
   * @throws io.tercel.server.UserException if the run that lies there was begun with others
   */
  GptqExport(
      Checkpoint source, ExportDirectory directory, QuantizeOptions options, ObjectNode settings)
      throws IOException {
    this.directory = directory;
    this.v2 = options.v2();
    journal = QuantizeJournal.open(directory.resolve(QuantizeJournal.FILE), settings);
    boolean begun = !journal.layers().isEmpty();
    if (!begun) {
      directory.copyCompanions(source.directory());
      writeConfig(source.directory(), options);
    }
    model = writer(directory.resolve(MODEL), entries(source), begun);
    try {
      state = options.keepState() ? stateWriter(source, begun) : null;
      if (begun) {
        skipDone(source);
      } else {
        for (Tensor tensor : outsideLayers(source)) {
          model.write(tensor.name(), tensor.data());
        }
      }
    } catch (IOException | RuntimeException e) {
      model.close();
      throw e;
    }
  }

  private static SafetensorsWriter writer(Path file, List<Entry> entries, boolean begun)
      throws IOException {
    return begun
        ? SafetensorsWriter.resume(file, entries)
        : SafetensorsWriter.create(file, entries).keepPartial();
  }

  private SafetensorsWriter stateWriter(Checkpoint source, boolean begun) throws IOException {
    List<Entry> entries = new ArrayList<>();
    for (LinearSource linear : linears(source)) {
      entries.addAll(PtqState.entries(linear.name(), linear.rows(), linear.cols()));
    }
    Files.createDirectories(directory.resolve("training-state"));
    return writer(directory.resolve(PtqState.FILE), entries, begun);
  }

  private void skipDone(Checkpoint source) {
    outsideLayers(source).forEach(tensor -> model.skip(tensor.name()));
    for (LayerSource layer : source.layers().subList(0, journal.layers().size())) {
      insideLayer(layer).forEach(tensor -> model.skip(tensor.name()));
      for (LinearSource linear : layer.matrices()) {
        entries(linear).forEach(entry -> model.skip(entry.name()));
        if (state != null) {
          PtqState.entries(linear.name(), linear.rows(), linear.cols())
              .forEach(entry -> state.skip(entry.name()));
        }
      }
    }
  }

  private static List<Entry> entries(Checkpoint source) {
    List<Entry> entries = new ArrayList<>();
    List<Tensor> plain = new ArrayList<>(outsideLayers(source));
    for (LayerSource layer : source.layers()) {
      layer.matrices().forEach(linear -> entries.addAll(entries(linear)));
      plain.addAll(insideLayer(layer));
    }
    for (Tensor tensor : plain) {
      entries.add(new Entry(tensor.name(), tensor.dtype(), tensor.shape()));
    }
    return entries;
  }

  private static List<Entry> entries(LinearSource linear) {
    long rows = linear.rows();
    long cols = linear.cols();
    long groups = Grid.groups(linear.cols());
    String name = linear.name();
    return List.of(
        new Entry(name + ".qweight", DType.I32, cols / 32 * 3, rows),
        new Entry(name + ".qzeros", DType.I32, groups, rows / 32 * 3),
        new Entry(name + ".scales", DType.F16, groups, rows),
        new Entry(name + ".g_idx", DType.I32, cols));
  }

  /** Bytes of a linear's tensors in the file, its bias aside. */
  static long bytes(LinearSource linear) {
    return entries(linear).stream().mapToLong(Entry::bytes).sum();
  }

  /** The linear layers of a checkpoint, in its order. */
  static List<LinearSource> linears(Checkpoint source) {
    List<LinearSource> linears = new ArrayList<>();
    for (LayerSource l : source.layers()) {
      linears.addAll(l.matrices());
    }
    return linears;
  }

  private static List<Tensor> outsideLayers(Checkpoint source) {
    List<Tensor> tensors = new ArrayList<>();
    tensors.add(source.embedding().weight());
    tensors.add(source.finalNorm());
    LinearSource.Plain head = source.head();
    if (head != null) {
      tensors.add(head.weight());
      addIfPresent(tensors, head.bias());
    }
    return tensors;
  }

  /** Norms and biases. */
  private static List<Tensor> insideLayer(LayerSource layer) {
    List<Tensor> tensors = new ArrayList<>(layer.norms());
    for (LinearSource linear : layer.matrices()) {
      addIfPresent(tensors, linear.bias());
    }
    return tensors;
  }

  private static void addIfPresent(List<Tensor> tensors, @Nullable Tensor tensor) {
    if (tensor != null) {
      tensors.add(tensor);
    }
  }

  private void writeConfig(Path from, QuantizeOptions options) throws IOException {
    ObjectNode quantization =
        new ObjectMapper()
            .createObjectNode()
            .put("quant_method", "gptq")
            .put("bits", 3)
            .put("group_size", Grid.GROUP)
            .put("desc_act", false)
            .put("sym", options.symmetric())
            .put("lm_head", false)
            .put("checkpoint_format", v2 ? "gptq_v2" : "gptq");
    directory.writeConfig(from, config -> config.set("quantization_config", quantization));
    AtomicFile.write(
        directory.resolve("quantize_config.json"), quantization.toPrettyString() + "\n");
  }

  /** The linears of each layer that an earlier run has finished. */
  List<List<Line>> done() {
    return journal.layers().stream().map(QuantizeReport::linears).toList();
  }

  /** Where the tensors of finished layers can be read. */
  Path tensors() {
    return model.path();
  }

  /** Whether zero points are stored as they are. */
  boolean v2() {
    return v2;
  }

  /**
   * Writes one linear.
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

  /** Writes a bias, if there is one. */
  void writeBias(LinearSource linear, float @Nullable [] values) throws IOException {
    Tensor tensor = linear.bias();
    if (tensor != null && values != null) {
      model.write(tensor.name(), i -> values[i]);
    }
  }

  /** Writes a norm of a layer. */
  void writeNorm(LayerSource layer, Norm norm, float[] values) throws IOException {
    Tensor tensor = layer.norm(norm);
    if (tensor != null) {
      model.write(tensor.name(), i -> values[i]);
    }
  }

  /** Ends a layer: all that was written of it stays, come what may. */
  void finishLayer(List<Line> lines) throws IOException {
    model.force();
    if (state != null) {
      state.force();
    }
    journal.add(QuantizeReport.linears(lines));
    directory.keep();
  }

  /** Writes the report and moves the finished directory to its place. */
  void commit(QuantizeReport report) throws IOException {
    AtomicFile.write(
        directory.resolve(QuantizeReport.FILE), report.toJson().toPrettyString() + "\n");
    QuantizeChart.draw(report, directory.resolve(QuantizeChart.FILE));
    model.finish();
    if (state != null) {
      state.finish();
    }
    directory.commit();
  }

  @Override
  public void close() throws IOException {
    model.close();
    if (state != null) {
      state.close();
    }
  }
}
