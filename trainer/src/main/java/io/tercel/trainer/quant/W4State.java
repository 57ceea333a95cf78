package io.tercel.trainer.quant;

import io.tercel.kernels.format.CheckpointException;
import io.tercel.kernels.format.DType;
import io.tercel.kernels.format.SafetensorsFile;
import io.tercel.kernels.format.Tensor;
import io.tercel.trainer.files.SafetensorsWriter;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What training in 4 bits starts from, kept beside an export.
 *
 * <p>A safetensors file. Of each linear ({@code model.layers.0.mlp.up_proj}, say): {@code .latent}
 * F32 [rows, cols], the weights as they stood when they were rounded, in the coordinates in which
 * they are served; {@code .scales} F16 [rows]; {@code .codes} U8 [rows, cols / 2], packed as in the
 * export. After FlatQuant also, of each layer ({@code model.layers.0.flat.qkv.left}, say), F32: the
 * factors of the transforms before they are inverted, {@code .scale} of channels, {@code values},
 * {@code heads} and {@code keys}, and the logits {@code .clip_low} and {@code .clip_high} of all
 * shares of ranges.
 */
public final class W4State implements AutoCloseable {
  /** Below the export's directory. */
  public static final String FILE = PtqState.FILE;

  private final Arena arena;
  private final Path file;
  private final Map<String, Tensor> tensors = new LinkedHashMap<>();

  private W4State(Path file, Arena arena) {
    this.file = file;
    this.arena = arena;
    for (Tensor tensor : SafetensorsFile.open(file, arena).tensors()) {
      tensors.put(tensor.name(), tensor);
    }
  }

  /**
   * Opens the state beside an export.
   *
   * @throws CheckpointException if it is missing or malformed
   */
  public static W4State open(Path export) {
    Arena arena = Arena.ofShared();
    try {
      return new W4State(export.resolve(FILE), arena);
    } catch (Throwable t) {
      arena.close();
      throw t;
    }
  }

  /** Values of a tensor of floats. */
  public float[] floats(String name) {
    Tensor tensor = tensors.get(name);
    if (tensor == null || tensor.dtype() != DType.F32 && tensor.dtype() != DType.F16) {
      throw new CheckpointException(
          "%s: tensor %s is %s; expected F32 or F16"
              .formatted(file, name, tensor == null ? "missing" : tensor.dtype()));
    }
    return tensor.toFloats();
  }

  /** The tensors of a linear as they will be written. */
  public static List<SafetensorsWriter.Entry> entries(String linear, int rows, int cols) {
    return List.of(
        new SafetensorsWriter.Entry(linear + ".latent", DType.F32, rows, cols),
        new SafetensorsWriter.Entry(linear + ".scales", DType.F16, rows),
        new SafetensorsWriter.Entry(linear + ".codes", DType.U8, rows, cols / 2));
  }

  /** Writes them. */
  public static void write(SafetensorsWriter to, String linear, W4Matrix matrix, float[] latents)
      throws IOException {
    to.write(linear + ".latent", latents);
    to.write(linear + ".scales", matrix.scaleBits());
    to.write(linear + ".codes", MemorySegment.ofArray(matrix.packed()));
  }

  @Override
  public void close() {
    arena.close();
  }
}
