package io.tercel.trainer.qat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;

/** A matrix of fp32 outside PyTorch's care, so that it outlives the pass that made it. */
final class HiddenStates {
  private final int rows;
  private final int cols;
  private final MemorySegment memory;

  HiddenStates(Arena arena, int rows, int cols) {
    this.rows = rows;
    this.cols = cols;
    this.memory = arena.allocate(Math.max(4, 4L * rows * cols), 64);
  }

  MemorySegment memory() {
    return memory;
  }

  /** Copies an array of this shape in. */
  void set(NDArray from) {
    memory.copyFrom(MemorySegment.ofBuffer(from.toByteBuffer(true)));
  }

  /** A view. */
  NDArray array(NDManager manager) {
    return manager.create(
        memory.asByteBuffer().order(ByteOrder.nativeOrder()),
        new Shape(rows, cols),
        DataType.FLOAT32);
  }
}
