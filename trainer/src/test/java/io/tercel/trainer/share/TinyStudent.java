package io.tercel.trainer.share;

import io.tercel.kernels.testing.RawSafetensors;
import io.tercel.kernels.testing.RawTensor;
import io.tercel.trainer.quant.GptqTensors;
import io.tercel.trainer.quant.QuantizedMatrix;
import io.tercel.trainer.quant.W4Matrix;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;

/**
 * What training a tiny checkpoint would change: random latents, scales and zero points for each of
 * its quantized linears, and the rest as it is stored, with a rounding of its own and an export.
 */
final class TinyStudent {
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;

  private final Map<String, RawTensor> stored;
  private final Arena arena;
  private final Random random;
  private final Map<String, Latents> linears = new LinkedHashMap<>();
  private final Map<String, MemorySegment> floats = new LinkedHashMap<>();

  /** One linear; its rounding is written out here once more. */
  static final class Latents implements WeightRounding {
    final MemorySegment values;
    final int rows;
    final int cols;
    final int group;
    final boolean four;
    final float[] scales;
    final byte[] zeros;

    Latents(MemorySegment values, int rows, int cols, boolean four) {
      this.values = values;
      this.rows = rows;
      this.cols = cols;
      this.four = four;
      this.group = four ? cols : 128;
      this.scales = new float[rows * Math.ceilDiv(cols, group)];
      this.zeros = new byte[scales.length];
    }

    int at(int row, int col) {
      return row * Math.ceilDiv(cols, group) + col / group;
    }

    int code(int row, int col) {
      double unclamped =
          Math.rint(values.getAtIndex(FLOAT, row * cols + col) / scales[at(row, col)]);
      return four
          ? (int) Math.min(7, Math.max(-8, unclamped))
          : (int) Math.min(7, Math.max(0, unclamped + zeros[at(row, col)]));
    }

    /** What is trained with: [rows, cols]. */
    float[] rounded() {
      float[] rounded = new float[rows * cols];
      for (int i = 0; i < rounded.length; i++) {
        int g = at(i / cols, i % cols);
        rounded[i] = scales[g] * (code(i / cols, i % cols) - zeros[g]);
      }
      return rounded;
    }

    byte[] codes() {
      byte[] codes = new byte[rows * cols];
      for (int i = 0; i < codes.length; i++) {
        codes[i] = (byte) code(i / cols, i % cols);
      }
      return codes;
    }

    @Override
    public int rows() {
      return rows;
    }

    @Override
    public int cols() {
      return cols;
    }

    @Override
    public int group() {
      return group;
    }

    @Override
    public float scale(int row, int group) {
      return scales[row * Math.ceilDiv(cols, this.group) + group];
    }

    @Override
    public int zero(int row, int group) {
      return zeros[row * Math.ceilDiv(cols, this.group) + group];
    }

    @Override
    public void codes(MemorySegment latents, int row, byte[] to) {
      if (!latents.equals(values)) {
        throw new AssertionError("of another linear");
      }
      for (int col = 0; col < cols; col++) {
        to[col] = (byte) code(row, col);
      }
    }
  }

  /** Of a directory of 3-bit GPTQ or of w4a4kv4. */
  TinyStudent(Path directory, Arena arena, long seed) {
    this.stored = RawSafetensors.readDirectory(directory);
    this.arena = arena;
    this.random = new Random(seed);
    stored.forEach(this::add);
  }

  private void add(String name, RawTensor tensor) {
    if (name.endsWith(".qweight")) {
      int cols = (int) tensor.shape()[0] * 32 / 3;
      addLinear(name.replace(".qweight", ".weight"), (int) tensor.shape()[1], cols, false);
    } else if (name.endsWith(".weight_packed")) {
      int cols = 2 * (int) tensor.shape()[1];
      addLinear(name.replace(".weight_packed", ".weight"), (int) tensor.shape()[0], cols, true);
    } else if (!name.matches(".*\\.(qzeros|scales|g_idx|weight_scale)")) {
      float[] values = tensor.toFloats();
      floats.put(name, arena.allocateFrom(FLOAT, values));
    }
  }

  private void addLinear(String name, int rows, int cols, boolean four) {
    MemorySegment values = arena.allocate(4L * rows * cols, 64);
    Latents linear = new Latents(values, rows, cols, four);
    for (int i = 0; i < rows * cols; i++) {
      values.setAtIndex(FLOAT, i, (float) (random.nextGaussian() / Math.sqrt(cols)));
    }
    for (int i = 0; i < linear.scales.length; i++) {
      linear.scales[i] = half((0.3 + 0.4 * random.nextDouble()) / Math.sqrt(cols));
      linear.zeros[i] = (byte) (linear.four ? 0 : random.nextInt(8));
    }
    linears.put(name, linear);
  }

  private static float half(double x) {
    return Float.float16ToFloat(Float.floatToFloat16((float) x));
  }

  Latents linear(String name) {
    return Objects.requireNonNull(linears.get(name), name);
  }

  MemorySegment floats(String name) {
    return Objects.requireNonNull(floats.get(name), name);
  }

  Map<String, Latents> linears() {
    return linears;
  }

  /** The linears alone. */
  List<TrainedTensor> trainedLinears() {
    List<TrainedTensor> tensors = new ArrayList<>();
    linears.forEach((name, l) -> tensors.add(new TrainedTensor.Linear(name, l.values, l)));
    return tensors;
  }

  /** All there is, keys' transforms excepted. */
  List<TrainedTensor> trained() {
    List<TrainedTensor> tensors = trainedLinears();
    floats.forEach(
        (name, values) -> {
          if (!frozen(name)) {
            tensors.add(new TrainedTensor.Floats(name, values));
          }
        });
    return tensors;
  }

  private static boolean frozen(String name) {
    return name.matches(".*\\.[kq]_transform");
  }

  /** An optimizer step that goes nowhere. */
  void step(double rate) {
    for (Latents linear : linears.values()) {
      double size = rate / Math.sqrt(linear.cols);
      for (int i = 0; i < linear.rows * linear.cols; i++) {
        add(linear.values, i, size * random.nextGaussian());
      }
      for (int i = 0; i < linear.scales.length; i++) {
        linear.scales[i] = half(linear.scales[i] * (1 + rate * (random.nextDouble() - 0.5)));
      }
    }
    floats.forEach(
        (name, values) -> {
          for (int i = 0; i < values.byteSize() / 4 && !frozen(name); i++) {
            add(values, i, rate * 0.1 * random.nextGaussian() * values.getAtIndex(FLOAT, i));
            if (name.endsWith("clip")) {
              values.setAtIndex(FLOAT, i, Math.min(1, values.getAtIndex(FLOAT, i)));
            }
          }
        });
  }

  private static void add(MemorySegment values, int i, double much) {
    values.setAtIndex(FLOAT, i, (float) (values.getAtIndex(FLOAT, i) + much));
  }

  /** Writes a checkpoint of what is trained now, beside copies of the source's other files. */
  Path export(Path source, Path to) {
    Map<String, RawTensor> tensors = new LinkedHashMap<>(stored);
    linears.forEach((name, linear) -> export(name.replace(".weight", ""), linear, tensors));
    floats.forEach(
        (name, values) -> {
          RawTensor was = Objects.requireNonNull(stored.get(name));
          // a norm or a bias is computed with as it is trained, in 32 bits
          String dtype = was.shape().length == 1 ? "F32" : was.dtype();
          tensors.put(name, RawTensor.floats(dtype, values.toArray(FLOAT), was.shape()));
        });
    try {
      Files.createDirectories(to);
      for (String file : List.of("config.json", "generation_config.json")) {
        Files.write(to.resolve(file), Files.readAllBytes(source.resolve(file)));
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    RawSafetensors.write(to.resolve("model.safetensors"), tensors);
    return to;
  }

  private static void export(String name, Latents linear, Map<String, RawTensor> tensors) {
    if (linear.four) {
      W4Matrix matrix = new W4Matrix(linear.rows, linear.cols, linear.codes(), linear.scales);
      put(tensors, name + ".weight_packed", matrix.packed());
      put(tensors, name + ".weight_scale", bytes(matrix.scaleBits()));
      return;
    }
    QuantizedMatrix matrix =
        new QuantizedMatrix(linear.rows, linear.cols, linear.codes(), linear.scales, linear.zeros);
    put(tensors, name + ".qweight", bytes(GptqTensors.qweight(matrix)));
    put(tensors, name + ".qzeros", bytes(GptqTensors.qzeros(matrix, true)));
    put(tensors, name + ".scales", bytes(GptqTensors.scales(matrix)));
  }

  private static void put(Map<String, RawTensor> tensors, String name, byte[] data) {
    RawTensor was = Objects.requireNonNull(tensors.get(name), name);
    if (was.data().length != data.length) {
      throw new AssertionError(name + ": " + data.length + " bytes for " + was.data().length);
    }
    tensors.put(name, new RawTensor(was.dtype(), was.shape(), data));
  }

  private static byte[] bytes(int[] values) {
    ByteBuffer bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asIntBuffer().put(values);
    return bytes.array();
  }

  private static byte[] bytes(short[] values) {
    ByteBuffer bytes = ByteBuffer.allocate(2 * values.length).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asShortBuffer().put(values);
    return bytes.array();
  }
}
