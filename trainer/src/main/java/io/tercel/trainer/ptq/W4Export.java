package io.tercel.trainer.ptq;

import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.format.CheckpointException;
import io.tercel.kernels.format.DType;
import io.tercel.kernels.format.LayerTensors.Matrix;
import io.tercel.kernels.format.LayerTensors.Norm;
import io.tercel.kernels.format.LinearSource;
import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.format.Tensor;
import io.tercel.kernels.ops.Ops;
import io.tercel.trainer.files.AtomicFile;
import io.tercel.trainer.files.SafetensorsWriter;
import io.tercel.trainer.files.SafetensorsWriter.Entry;
import io.tercel.trainer.ptq.flatquant.FlatLayer;
import io.tercel.trainer.ptq.transform.DoubleLinear;
import io.tercel.trainer.ptq.transform.Kronecker;
import io.tercel.trainer.ptq.transform.OnlineTransforms;
import io.tercel.trainer.ptq.transform.QuaRot;
import io.tercel.trainer.ptq.transform.SquareMatrix;
import io.tercel.trainer.ptq.transform.W4Layer;
import io.tercel.trainer.quant.W4Matrix;
import io.tercel.trainer.quant.W4State;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A checkpoint in the layout of W4A4KV4 as it is being written, layer by layer: packed codes and
 * row scales of the linears, and what happens to activations. Embedding and head are copied as the
 * bytes they are, or turned and rounded to fp16 where the residual stream is.
 */
final class W4Export implements AutoCloseable {
  private static final int VERSION = 1;
  private static final String MODEL = "model.safetensors";
  private static final String LAYERS = "model.layers.";

  private final Checkpoint source;
  private final ModelConfig config;
  private final ExportDirectory directory;
  private final SafetensorsWriter model;
  private final @Nullable SafetensorsWriter state;

  /**
   * Makes the directory and writes all that belongs to no layer.
   *
   * @param shape a layer in which everything is present that will be in those to come
   * @param trained the names and shapes of what FlatQuant leaves of each layer
   * @param turned the residual stream's coordinates, if they are others
   */
  W4Export(
      Checkpoint source,
      ExportDirectory directory,
      OnlineTransforms shape,
      List<FlatLayer.Trained> trained,
      @Nullable QuaRot turned,
      boolean keepState,
      Ops ops)
      throws IOException {
    this.source = source;
    this.config = source.config();
    this.directory = directory;
    directory.copyCompanions(source.directory());
    directory.writeConfig(
        source.directory(),
        json -> {
          json.putObject("quantization_config")
              .put("quant_method", "tercel")
              .put("format", "w4a4kv4")
              .put("version", VERSION);
          if (turned != null) {
            json.put("tie_word_embeddings", false);
          }
        });
    model =
        SafetensorsWriter.create(directory.resolve(MODEL), entries(shape, turned != null))
            .keepPartial();
    state = keepState ? openState(trained) : null;
    if (turned == null) {
      copyEnds();
    } else {
      turnEnds(turned, ops);
    }
  }

  /**
   * Goes on with what an earlier run has left.
   *
   * @param done layers that are whole
   */
  W4Export(Checkpoint source, ExportDirectory directory, int done, boolean keepState)
      throws IOException {
    this.source = source;
    this.config = source.config();
    this.directory = directory;
    model = SafetensorsWriter.resume(directory.resolve(MODEL));
    model.skip(name -> isDone(name, done));
    state = keepState ? SafetensorsWriter.resume(directory.resolve(W4State.FILE)) : null;
    if (state != null) {
      state.skip(name -> isDone(name, done));
    }
  }

  /** Whether a tensor is of one of the first layers, or of none. */
  private static boolean isDone(String name, int layers) {
    if (!name.startsWith(LAYERS)) {
      return true;
    }
    int end = name.indexOf('.', LAYERS.length());
    return Integer.parseInt(name.substring(LAYERS.length(), end)) < layers;
  }

  private List<Entry> entries(OnlineTransforms shape, boolean turned) {
    List<Entry> entries = new ArrayList<>();
    long vocab = config.vocabSize();
    long hidden = config.hiddenSize();
    if (turned) {
      entries.add(new Entry(source.embedding().weight().name(), DType.F16, vocab, hidden));
      entries.add(new Entry("lm_head.weight", DType.F16, vocab, hidden));
      entries.add(new Entry(source.finalNorm().name(), DType.F32, hidden));
    } else {
      for (Tensor tensor : ends()) {
        entries.add(new Entry(tensor.name(), tensor.dtype(), tensor.shape()));
      }
    }
    for (int i = 0; i < config.numLayers(); i++) {
      for (Matrix which : Matrix.values()) {
        String name = which.name(i);
        long rows = which.rows(config);
        entries.add(new Entry(name + ".weight_packed", DType.U8, rows, which.cols(config) / 2));
        entries.add(new Entry(name + ".weight_scale", DType.F16, rows));
        if (which.biased(config)) {
          entries.add(new Entry(name + ".bias", DType.F32, rows));
        }
      }
      for (Norm norm : Norm.values()) {
        if (norm.present(config)) {
          entries.add(new Entry(norm.name(i) + ".weight", DType.F32, norm.size(config)));
        }
      }
      online(i, shape)
          .forEach(
              (name, values) ->
                  entries.add(new Entry(name, DType.F32, shapeOf(name, values.length))));
    }
    return entries;
  }

  private static long[] shapeOf(String name, int count) {
    if (name.endsWith("clip")) {
      return new long[] {count};
    }
    long size = Math.round(Math.sqrt(count));
    return new long[] {size, size};
  }

  private List<Tensor> ends() {
    List<Tensor> tensors = new ArrayList<>();
    tensors.add(source.embedding().weight());
    tensors.add(source.finalNorm());
    LinearSource.Plain head = source.head();
    if (head != null) {
      tensors.add(head.weight());
    }
    return tensors;
  }

  private void copyEnds() throws IOException {
    for (Tensor tensor : ends()) {
      model.write(tensor.name(), tensor.data());
    }
  }

  private void turnEnds(QuaRot by, Ops ops) throws IOException {
    Tensor table = source.embedding().weight();
    LinearSource.Plain own = source.head();
    double[] norm = DoubleLinear.doubles(source.finalNorm());
    model.write(table.name(), halves(table, row -> by.embedding(row, ops)));
    model.write(
        "lm_head.weight",
        halves(own == null ? table : own.weight(), rows -> by.head(rows, norm, ops)));
    float[] ones = new float[norm.length];
    for (int i = 0; i < ones.length; i++) {
      ones[i] = (float) by.finalNorm()[i];
    }
    model.write(source.finalNorm().name(), ones);
  }

  private interface Rows {
    void change(double[] rows);
  }

  /** A table changed and rounded to fp16, some rows at a time. */
  private short[] halves(Tensor table, Rows change) {
    int width = config.hiddenSize();
    int count = Math.toIntExact(table.elements());
    short[] bits = new short[count];
    int piece = 256 * width;
    for (int from = 0; from < count; from += piece) {
      double[] rows = new double[Math.min(piece, count - from)];
      for (int i = 0; i < rows.length; i++) {
        rows[i] = table.floatAt(from + i);
      }
      change.change(rows);
      for (int i = 0; i < rows.length; i++) {
        bits[from + i] = Float.floatToFloat16((float) rows[i]);
        if (Math.abs(rows[i]) > 65504 || Double.isNaN(rows[i])) {
          throw new CheckpointException(
              "%s turns to %s, which fp16 cannot hold".formatted(table.where(), rows[i]));
        }
      }
    }
    return bits;
  }

  private SafetensorsWriter openState(List<FlatLayer.Trained> trained) throws IOException {
    List<Entry> entries = new ArrayList<>();
    for (int i = 0; i < config.numLayers(); i++) {
      for (Matrix which : Matrix.values()) {
        entries.addAll(W4State.entries(which.name(i), which.rows(config), which.cols(config)));
      }
      for (FlatLayer.Trained tensor : trained) {
        entries.add(new Entry(trainedName(i, tensor), DType.F32, tensor.shape()));
      }
    }
    Files.createDirectories(directory.resolve(W4State.FILE).getParent());
    return SafetensorsWriter.create(directory.resolve(W4State.FILE), entries).keepPartial();
  }

  private static String trainedName(int layer, FlatLayer.Trained tensor) {
    return LAYERS + layer + ".flat." + tensor.name();
  }

  /** Writes a layer. */
  void write(int index, W4Layer layer, List<FlatLayer.Trained> trained) throws IOException {
    for (Matrix which : Matrix.values()) {
      W4Layer.W4Linear linear = layer.matrix(which);
      W4Matrix matrix = linear.matrix();
      String name = which.name(index);
      model.write(name + ".weight_packed", MemorySegment.ofArray(matrix.packed()));
      model.write(name + ".weight_scale", matrix.scaleBits());
      float[] bias = linear.bias();
      if (bias != null) {
        model.write(name + ".bias", bias);
      }
      if (state != null) {
        W4State.write(state, name, matrix, linear.latents());
      }
    }
    for (Norm norm : Norm.values()) {
      float[] weight = layer.norm(norm);
      if (weight != null) {
        model.write(norm.name(index) + ".weight", weight);
      }
    }
    for (Map.Entry<String, float[]> tensor : online(index, layer.online()).entrySet()) {
      model.write(tensor.getKey(), tensor.getValue());
    }
    if (state != null) {
      for (FlatLayer.Trained tensor : trained) {
        state.write(trainedName(index, tensor), tensor.values());
      }
    }
  }

  /** What happens to a layer's activations, by the tensors' names. */
  private static Map<String, float[]> online(int index, OnlineTransforms online) {
    Map<String, float[]> tensors = new LinkedHashMap<>();
    String layer = LAYERS + index + ".";
    OnlineTransforms.Clips clips = online.clips();
    put(tensors, layer + "self_attn.qkv_transform.", online.qkv(), clips.qkv());
    put(tensors, layer + "self_attn.o_transform.", online.o(), clips.o());
    put(tensors, layer + "mlp.gate_up_transform.", online.gateUp(), clips.gateUp());
    put(tensors, layer + "mlp.down_transform.", online.down(), clips.down());
    put(tensors, layer + "self_attn.k_transform", online.keys());
    put(tensors, layer + "self_attn.q_transform", online.queries());
    put(tensors, layer + "self_attn.k_clip", clips.k());
    put(tensors, layer + "self_attn.v_clip", clips.v());
    return tensors;
  }

  private static void put(
      Map<String, float[]> tensors,
      String prefix,
      @Nullable Kronecker by,
      float @Nullable [] clip) {
    if (by != null) {
      put(tensors, prefix + "left", by.left());
      put(tensors, prefix + "right", by.right());
    }
    put(tensors, prefix + "clip", clip);
  }

  private static void put(
      Map<String, float[]> tensors, String name, @Nullable SquareMatrix matrix) {
    if (matrix != null) {
      tensors.put(name, matrix.toFloats());
    }
  }

  private static void put(Map<String, float[]> tensors, String name, float @Nullable [] values) {
    if (values != null) {
      tensors.put(name, values);
    }
  }

  /** What a layer takes in the file. */
  static W4Report.Bytes bytes(W4Layer layer) {
    long linears = 0;
    for (Matrix which : Matrix.values()) {
      W4Matrix matrix = layer.matrix(which).matrix();
      linears += (long) matrix.rows() * matrix.cols() / 2 + Short.BYTES * (long) matrix.rows();
    }
    long floats = online(0, layer.online()).values().stream().mapToLong(v -> v.length).sum();
    return new W4Report.Bytes(linears, Float.BYTES * floats);
  }

  /** Makes durable what was written. */
  void force() throws IOException {
    model.force();
    if (state != null) {
      state.force();
    }
  }

  /** Where the tensors of finished layers can be read. */
  Path tensors() {
    return model.path();
  }

  /** Writes the report and moves the finished directory to its place. */
  void commit(W4Report report) throws IOException {
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
