package io.tercel.trainer.torch;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.tercel.kernels.format.DType;
import io.tercel.trainer.files.SafetensorsWriter;
import io.tercel.trainer.quant.Chunks;
import io.tercel.trainer.quant.FakeQuant;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One tensor of a trained model: fp32 values off the heap, where PyTorch reads them without a copy
 * and the {@link AdamW optimizer} writes them in place, and beside them, if it is trained, the
 * gradient of the step.
 *
 * <p>A linear weight may be fake-quantized: the forward pass then reads the rounded values, which
 * are computed once a step, and the gradient passes {@linkplain FakeQuant straight through} to
 * these latents, or to its {@linkplain #learnScales scales}.
 */
public final class Parameter {
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;

  private final String name;
  private final List<Long> shape;
  private final int size;
  private final Arena arena;
  private final MemorySegment values;
  private boolean trained = true;
  private @Nullable MemorySegment gradient; // from the first that is added on
  private DType storage = DType.F32;
  private @Nullable FakeQuant quant;
  private @Nullable Parameter growth;
  private @Nullable MemorySegment rounded;
  private boolean stale; // the values have changed since they were rounded

  /**
   * All zero, in memory of the arena, a shared one: all processors work on it.
   *
   * @param name as in a Hugging Face checkpoint
   */
  public Parameter(String name, Arena arena, long... shape) {
    this.name = name;
    this.arena = arena;
    this.shape = Arrays.stream(shape).boxed().toList();
    int count = 1;
    for (long dim : shape) {
      count = Math.multiplyExact(count, Math.toIntExact(dim));
    }
    size = count;
    values = arena.allocate(4L * size, 64);
  }

  /** As in a Hugging Face checkpoint. */
  public String name() {
    return name;
  }

  public List<Long> shape() {
    return shape;
  }

  public int size() {
    return size;
  }

  public float get(int i) {
    return values.getAtIndex(FLOAT, i);
  }

  public void set(int i, float value) {
    values.setAtIndex(FLOAT, i, value);
    stale = true;
  }

  /**
   * The values, or the latents of a quantized weight, to be read; they live as long as the model.
   */
  public MemorySegment values() {
    return values.asReadOnly();
  }

  /** The values to be written to; {@link #changed} is to be said afterwards. */
  MemorySegment writable() {
    return values;
  }

  /** The values are others now. */
  void changed() {
    stale = true;
  }

  /** Copies values in. */
  public void set(float[] from) {
    if (from.length != size()) {
      throw new IllegalArgumentException(name + " has " + size() + " values, not " + from.length);
    }
    MemorySegment.copy(from, 0, values, FLOAT, 0, from.length);
    stale = true;
  }

  /** Copies values in, fp32. */
  public void set(MemorySegment from) {
    if (from.byteSize() != values.byteSize()) {
      throw new IllegalArgumentException(
          name + " has " + size() + " values, not " + from.byteSize() / 4);
    }
    values.copyFrom(from);
    stale = true;
  }

  /** The values on the heap, copied. */
  public float[] toFloats() {
    return values.toArray(FLOAT);
  }

  /** Whether it takes gradients; a new one does. */
  public boolean trained() {
    return trained;
  }

  /** Has it take gradients, or no longer. */
  public Parameter trained(boolean value) {
    trained = value;
    return this;
  }

  /** The gradient summed since {@link #clearGradient}, fp32, to be added to. */
  public MemorySegment gradient() {
    MemorySegment sum = gradient;
    if (sum == null) {
      sum = arena.allocate(values.byteSize(), 64);
      gradient = sum;
    }
    return sum;
  }

  /** An element of {@link #gradient}. */
  public float gradientAt(int i) {
    return gradient().getAtIndex(FLOAT, i);
  }

  /** Before the next step. */
  public void clearGradient() {
    if (gradient != null) {
      gradient.fill((byte) 0);
    }
  }

  /** Whether it is a matrix; norms and biases are not, and are never decayed. */
  public boolean isMatrix() {
    return shape.size() == 2;
  }

  /** Rounds the values in the forward pass from now on, or no longer. */
  public void quantize(@Nullable FakeQuant with) {
    if (with != null) {
      checkShape(with);
      if (rounded == null) {
        rounded = arena.allocate(values.byteSize(), 64);
      }
    }
    quant = with;
    stale = true;
  }

  private void checkShape(FakeQuant with) {
    if (!shape.equals(List.of((long) with.rows(), (long) with.cols()))) {
      throw new IllegalArgumentException(
          "%s is %s, not %d x %d".formatted(name, shape, with.rows(), with.cols()));
    }
  }

  public @Nullable FakeQuant quant() {
    return quant;
  }

  /**
   * Rounds the values in the forward pass to what a 16-bit tensor keeps of them, straight through.
   *
   * @param type F16, BF16 or F32, which rounds nothing
   */
  public Parameter storedAs(DType type) {
    if (quant != null) {
      throw new IllegalStateException(name + " is quantized");
    }
    storage = type;
    if (type != DType.F32 && rounded == null) {
      rounded = arena.allocate(values.byteSize(), 64);
    }
    stale = true;
    return this;
  }

  /**
   * Makes the scales learnable: a parameter of the logarithms of what they have grown by.
   *
   * @param withCodes whether codes follow the latents still, else they are frozen as they are
   * @return fp32 [rows, groups], named {@code NAME.scale_growth}
   */
  public Parameter learnScales(boolean withCodes) {
    FakeQuant grid = quant;
    if (grid == null) {
      throw new IllegalStateException(name + " has no scales");
    }
    if (!withCodes) {
      grid.freezeCodes(values);
      trained = false;
    }
    growth = new Parameter(name + ".scale_growth", arena, grid.rows(), grid.groups());
    stale = true;
    return growth;
  }

  /** What {@link #learnScales} gave, or null. */
  public @Nullable Parameter scaleGrowth() {
    return growth;
  }

  /** Whether a backward pass is of use to it or its scales. */
  public boolean wantsGradient() {
    return trained || growth != null;
  }

  /** What a forward pass reads, fp32: the values, or what they are rounded to. */
  public MemorySegment read() {
    Parameter grown = growth;
    MemorySegment to = rounded;
    if (quant == null && to != null && storage != DType.F32) {
      if (stale) {
        Chunks.forEach(size, (from, end) -> store(to, from, end));
        stale = false;
      }
      return to;
    }
    if (quant == null || to == null) {
      return values;
    }
    if (stale || grown != null && grown.stale) {
      if (grown != null) {
        quant.rescale(grown.values);
        grown.stale = false;
      }
      quant.round(values, to);
      stale = false;
    }
    return to;
  }

  private void store(MemorySegment to, int from, int end) {
    for (int i = from; i < end; i++) {
      to.setAtIndex(FLOAT, i, SafetensorsWriter.round(storage, values.getAtIndex(FLOAT, i)));
    }
  }

  /** A fresh view for one forward pass; the next one sees the values changed meanwhile. */
  public NDArray leaf(NDManager manager, boolean gradient) {
    NDArray leaf =
        manager.create(
            read().asByteBuffer().order(ByteOrder.nativeOrder()),
            new Shape(shape.stream().mapToLong(Long::longValue).toArray()),
            DataType.FLOAT32);
    if (gradient && wantsGradient()) {
      leaf.setRequiresGradient(true);
    }
    return leaf;
  }

  /** Adds what a backward pass left in a leaf. */
  public void accumulate(NDArray leaf) {
    if (!wantsGradient()) {
      return;
    }
    try (NDArray array = leaf.getGradient()) {
      accumulate(MemorySegment.ofBuffer(array.toByteBuffer(true)));
    }
  }

  /** Adds the gradient of what {@link #read} gave, fp32. */
  public void accumulate(MemorySegment from) {
    Parameter grown = growth;
    if (quant != null && grown != null) {
      quant.addToGrowth(values, from, grown.gradient());
    }
    if (!trained) {
      return;
    }
    MemorySegment sum = gradient();
    if (quant != null) {
      quant.addInside(values, from, sum);
      return;
    }
    Chunks.forEach(
        size,
        (first, last) -> {
          for (int i = first; i < last; i++) {
            sum.setAtIndex(FLOAT, i, sum.getAtIndex(FLOAT, i) + from.getAtIndex(FLOAT, i));
          }
        });
  }
}
