package io.tercel.trainer.quant;

import io.tercel.kernels.format.CheckpointException;
import io.tercel.kernels.format.DType;
import io.tercel.kernels.format.SafetensorsFile;
import io.tercel.kernels.format.Tensor;
import io.tercel.trainer.files.SafetensorsWriter;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What quantization-aware training starts from, kept beside an export: of every linear layer the
 * latents, fp32 weights as they stood when they were rounded, with the scales, zero points and
 * codes that they were rounded to. Rounding the latents on that grid gives the codes exactly;
 * computing the scales anew from the latents would not, and is worse than plain rounding.
 *
 * <p>A safetensors file. Of layer {@code model.layers.0.mlp.up_proj} (say): {@code .latent} F32
 * [rows, cols], {@code .scales} F16 [rows, groups], {@code .zeros} U8 [rows, groups], {@code
 * .codes} U8 [rows, cols]; all in the inputs' natural order, groups of 128 neighbours. It lies in a
 * directory of its own, for other engines load every safetensors file of a model's.
 */
public final class PtqState implements AutoCloseable {
  /** Below the export's directory. */
  public static final String FILE = "training-state/ptq.safetensors";

  private static final String LATENT = ".latent";

  private final Arena arena;
  private final Path file;
  private final Map<String, Tensor> tensors = new LinkedHashMap<>();

  private PtqState(Path file, Arena arena) {
    this.file = file;
    this.arena = arena;
    for (Tensor tensor : SafetensorsFile.open(file, arena).tensors()) {
      tensors.put(tensor.name(), tensor);
    }
  }

  /**
   * Opens the state beside an export.
   *
   * @param export the exported model's directory
   * @throws CheckpointException if it is missing or malformed
   */
  public static PtqState open(Path export) {
    Arena arena = Arena.ofShared();
    try {
      return new PtqState(export.resolve(FILE), arena);
    } catch (Throwable t) {
      arena.close();
      throw t;
    }
  }

  /** Names of the layers, as in a checkpoint without {@code .weight}. */
  public List<String> layers() {
    List<String> names = new ArrayList<>();
    for (String name : tensors.keySet()) {
      if (name.endsWith(LATENT)) {
        names.add(name.substring(0, name.length() - LATENT.length()));
      }
    }
    return names;
  }

  /** The latents of a layer, [rows, cols]. */
  public float[] latents(String layer) {
    return tensor(layer + LATENT, DType.F32).toFloats();
  }

  /** Codes, scales and zero points of a layer. */
  public QuantizedMatrix matrix(String layer) {
    List<Long> shape = tensor(layer + LATENT, DType.F32).shape();
    return new QuantizedMatrix(
        Math.toIntExact(shape.get(0)),
        Math.toIntExact(shape.get(1)),
        tensor(layer + ".codes", DType.U8).data().toArray(ValueLayout.JAVA_BYTE),
        tensor(layer + ".scales", DType.F16).toFloats(),
        tensor(layer + ".zeros", DType.U8).data().toArray(ValueLayout.JAVA_BYTE));
  }

  private Tensor tensor(String name, DType dtype) {
    Tensor tensor = tensors.get(name);
    if (tensor == null || tensor.dtype() != dtype) {
      throw new CheckpointException(
          "%s: tensor %s is %s; expected %s"
              .formatted(file, name, tensor == null ? "missing" : tensor.dtype(), dtype));
    }
    return tensor;
  }

  /** The tensors of a layer as they will be written. */
  public static List<SafetensorsWriter.Entry> entries(String layer, int rows, int cols) {
    int groups = Grid.groups(cols);
    return List.of(
        new SafetensorsWriter.Entry(layer + LATENT, DType.F32, rows, cols),
        new SafetensorsWriter.Entry(layer + ".scales", DType.F16, rows, groups),
        new SafetensorsWriter.Entry(layer + ".zeros", DType.U8, rows, groups),
        new SafetensorsWriter.Entry(layer + ".codes", DType.U8, rows, cols));
  }

  /** Writes them. */
  public static void write(
      SafetensorsWriter to, String layer, QuantizedMatrix matrix, float[] latents)
      throws IOException {
    short[] scales = new short[matrix.scales().length];
    for (int i = 0; i < scales.length; i++) {
      scales[i] = Float.floatToFloat16(matrix.scales()[i]);
    }
    to.write(layer + LATENT, latents);
    to.write(layer + ".scales", scales);
    to.write(layer + ".zeros", MemorySegment.ofArray(matrix.zeros()));
    to.write(layer + ".codes", MemorySegment.ofArray(matrix.codes()));
  }

  @Override
  public void close() {
    arena.close();
  }
}
