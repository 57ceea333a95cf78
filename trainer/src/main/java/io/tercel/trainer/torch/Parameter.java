package io.tercel.trainer.torch;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.tercel.trainer.quant.Chunks;
import io.tercel.trainer.quant.FakeQuant;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One trained tensor: fp32 values off the heap, where PyTorch reads them without a copy and the
 * {@link AdamW optimizer} writes them in place, and the gradient of the step on the heap.
 *
 * <p>A linear weight may be fake-quantized: the forward pass then reads the rounded values, the
 * gradient passes {@linkplain FakeQuant straight through} to these latents.
 */
public final class Parameter {
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;

  private final String name;
  private final List<Long> shape;
  private final Arena arena;
  private final MemorySegment values;
  private final float[] gradient;
  private @Nullable FakeQuant quant;
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
    int size = 1;
    for (long dim : shape) {
      size = Math.multiplyExact(size, Math.toIntExact(dim));
    }
    values = arena.allocate(4L * size, 64);
    gradient = new float[size];
  }

  /** As in a Hugging Face checkpoint. */
  public String name() {
    return name;
  }

  public List<Long> shape() {
    return shape;
  }

  public int size() {
    return gradient.length;
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

  /** Copies values in. */
  public void set(float[] from) {
    if (from.length != size()) {
      throw new IllegalArgumentException(name + " has " + size() + " values, not " + from.length);
    }
    MemorySegment.copy(from, 0, values, FLOAT, 0, from.length);
    stale = true;
  }

  /** The values on the heap, copied. */
  public float[] toFloats() {
    return values.toArray(FLOAT);
  }

  /** The gradient summed since {@link #clearGradient}; a view. */
  public float[] gradient() {
    return gradient;
  }

  /** Before the next step. */
  public void clearGradient() {
    Arrays.fill(gradient, 0);
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

  /** A fresh view for one forward pass; the next one sees the values changed meanwhile. */
  public NDArray leaf(NDManager manager, boolean gradient) {
    MemorySegment read = values;
    if (quant != null && rounded != null) {
      if (stale) {
        quant.round(values, rounded);
        stale = false;
      }
      read = rounded;
    }
    NDArray leaf =
        manager.create(
            read.asByteBuffer().order(ByteOrder.nativeOrder()),
            new Shape(shape.stream().mapToLong(Long::longValue).toArray()),
            DataType.FLOAT32);
    if (gradient) {
      leaf.setRequiresGradient(true);
    }
    return leaf;
  }

  /** Adds what a backward pass left in a leaf. */
  public void accumulate(NDArray leaf) {
    try (NDArray array = leaf.getGradient()) {
      FloatBuffer from = array.toByteBuffer(true).order(ByteOrder.nativeOrder()).asFloatBuffer();
      if (quant != null) {
        quant.addInside(values, from, gradient);
        return;
      }
      Chunks.forEach(
          gradient.length,
          (first, last) -> {
            for (int i = first; i < last; i++) {
              gradient[i] += from.get(i);
            }
          });
    }
  }
}
