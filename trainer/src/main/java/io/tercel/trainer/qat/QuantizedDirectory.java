package io.tercel.trainer.qat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.tercel.kernels.format.SafetensorsFile;
import io.tercel.kernels.format.Tensor;
import io.tercel.trainer.files.AtomicFile;
import io.tercel.trainer.files.SafetensorsWriter;
import io.tercel.trainer.files.SafetensorsWriter.Entry;
import io.tercel.trainer.quant.FakeQuant;
import io.tercel.trainer.quant.GptqTensors;
import io.tercel.trainer.quant.PtqState;
import io.tercel.trainer.quant.QuantizedMatrix;
import io.tercel.trainer.quant.W4Matrix;
import io.tercel.trainer.torch.Parameter;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Writes a trained student as the directory it came from is written: the same tensors and files,
 * with what training has changed. It can be served, trained further, and read by whatever reads the
 * start.
 */
public final class QuantizedDirectory {
  private static final String MODEL = "model.safetensors";
  private static final String WEIGHT = ".weight";
  private static final List<String> COMPANIONS =
      List.of("config.json", "quantize_config.json", "README.md", "LICENSE");

  private final QatModel model;
  private final boolean v2;
  private boolean inState;

  private QuantizedDirectory(QatModel model, boolean v2) {
    this.model = model;
    this.v2 = v2;
  }

  /**
   * Writes beside the place and then moves there, replacing what an earlier run of this has left.
   *
   * @param start the export that the student was loaded from
   */
  public static void write(QatModel model, Path start, Path to) throws IOException {
    Path part = to.resolveSibling(to.getFileName() + ".part");
    delete(part);
    Files.createDirectories(part.resolve(PtqState.FILE).getParent());
    ModelDirectory.copyTokenizer(start, part);
    for (String name : COMPANIONS) {
      if (Files.isRegularFile(start.resolve(name))) {
        AtomicFile.write(part.resolve(name), Files.readAllBytes(start.resolve(name)));
      }
    }
    JsonNode config = new ObjectMapper().readTree(Files.readAllBytes(start.resolve("config.json")));
    boolean v2 =
        config.at("/quantization_config/checkpoint_format").asText("gptq").equals("gptq_v2");
    QuantizedDirectory directory = new QuantizedDirectory(model, v2);
    directory.rewrite(start.resolve(MODEL), part.resolve(MODEL));
    directory.inState = true;
    directory.rewrite(start.resolve(PtqState.FILE), part.resolve(PtqState.FILE));
    delete(to);
    AtomicFile.move(part, to);
    AtomicFile.forceDirectory(to);
  }

  private static void delete(Path directory) throws IOException {
    if (Files.exists(directory)) {
      try (Stream<Path> files = Files.walk(directory)) {
        for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
          Files.delete(file);
        }
      }
    }
  }

  private void rewrite(Path from, Path to) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      List<Tensor> tensors = new ArrayList<>();
      SafetensorsFile.open(from, arena).tensors().forEach(tensors::add);
      List<Entry> entries =
          tensors.stream().map(t -> new Entry(t.name(), t.dtype(), t.shape())).toList();
      try (SafetensorsWriter out = SafetensorsWriter.create(to, entries)) {
        for (Tensor tensor : tensors) {
          write(tensor, out);
        }
        out.finish();
      }
    }
  }

  /** As it is now, or as it was, where training has nothing to say. */
  private void write(Tensor tensor, SafetensorsWriter out) throws IOException {
    String name = tensor.name();
    int dot = name.lastIndexOf('.');
    Parameter linear = optional(name.substring(0, dot) + WEIGHT);
    FakeQuant grid = linear == null ? null : linear.quant();
    Parameter plain = optional(name);
    if (linear != null && grid != null && linear.wantsGradient()) {
      if (write(name, name.substring(dot + 1), linear, grid, out)) {
        return;
      }
    } else if (plain != null && plain.trained() && plain.quant() == null) {
      if (name.endsWith(QatModel.CLIP)) {
        out.write(name, QatModel.shares(plain));
      } else {
        out.write(name, plain::get);
      }
      return;
    }
    out.write(name, tensor.data());
  }

  /** One of a quantized linear's tensors; false if it is as it was. */
  private boolean write(
      String name, String kind, Parameter linear, FakeQuant grid, SafetensorsWriter out)
      throws IOException {
    linear.read(); // so that scales are those of the last step
    switch (kind) {
      case "latent" -> out.write(name, latents(linear, grid));
      case "qweight" -> out.write(name, GptqTensors.qweight(grouped(linear, grid)));
      case "scales" -> // of the model [groups, rows], of the state [rows, groups]
          out.write(
              name, inState ? halves(scales(grid)) : GptqTensors.scales(grouped(linear, grid)));
      case "qzeros" -> out.write(name, GptqTensors.qzeros(grouped(linear, grid), v2));
      case "codes" -> {
        if (grid.isFourBit()) {
          out.write(name, MemorySegment.ofArray(perRow(linear, grid).packed()));
        } else {
          out.write(name, MemorySegment.ofArray(codes(linear, grid)));
        }
      }
      case "weight_packed" -> out.write(name, MemorySegment.ofArray(perRow(linear, grid).packed()));
      case "weight_scale" -> out.write(name, perRow(linear, grid).scaleBits());
      default -> {
        return false;
      }
    }
    return true;
  }

  private static float[] scales(FakeQuant grid) {
    float[] scales = new float[grid.rows() * grid.groups()];
    for (int i = 0; i < scales.length; i++) {
      scales[i] = grid.scale(i / grid.groups(), i % grid.groups());
    }
    return scales;
  }

  private static short[] halves(float[] values) {
    short[] bits = new short[values.length];
    for (int i = 0; i < bits.length; i++) {
      bits[i] = Float.floatToFloat16(values[i]);
    }
    return bits;
  }

  private static byte[] codes(Parameter linear, FakeQuant grid) {
    byte[] codes = new byte[linear.size()];
    byte[] row = new byte[grid.cols()];
    for (int r = 0; r < grid.rows(); r++) {
      grid.codes(linear.values(), r, row);
      System.arraycopy(row, 0, codes, r * row.length, row.length);
    }
    return codes;
  }

  private static QuantizedMatrix grouped(Parameter linear, FakeQuant grid) {
    byte[] zeros = new byte[grid.rows() * grid.groups()];
    for (int i = 0; i < zeros.length; i++) {
      zeros[i] = (byte) grid.zero(i / grid.groups(), i % grid.groups());
    }
    return new QuantizedMatrix(grid.rows(), grid.cols(), codes(linear, grid), scales(grid), zeros);
  }

  private static W4Matrix perRow(Parameter linear, FakeQuant grid) {
    return new W4Matrix(grid.rows(), grid.cols(), codes(linear, grid), scales(grid));
  }

  /** Where codes were frozen, what gives them on the grid as it is now. */
  private static MemorySegment latents(Parameter linear, FakeQuant grid) {
    return grid.codesFrozen() ? linear.read() : linear.values();
  }

  private @Nullable Parameter optional(String name) {
    return model.find(name);
  }
}
