package io.tercel.trainer.ptq;

import io.tercel.kernels.format.LinearSource;
import io.tercel.kernels.format.SafetensorsFile;
import io.tercel.kernels.format.Tensor;
import io.tercel.trainer.quant.W4Matrix;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;

/** Matrices that an earlier run has written in 4 bits. */
final class FinishedMatrices {
  private final Map<String, Tensor> tensors = new HashMap<>();

  /**
   * @param file of tensors, mapped into the arena
   */
  FinishedMatrices(Path file, Arena arena) {
    SafetensorsFile.open(file, arena).tensors().forEach(t -> tensors.put(t.name(), t));
  }

  /** What a linear was rounded to. */
  W4Matrix matrix(LinearSource source) {
    return W4Matrix.unpack(
        source.rows(),
        source.cols(),
        tensor(source.name() + ".weight_packed").data().toArray(ValueLayout.JAVA_BYTE),
        tensor(source.name() + ".weight_scale").toFloats());
  }

  private Tensor tensor(String name) {
    Tensor tensor = tensors.get(name);
    if (tensor == null) {
      throw new IllegalStateException(name + " was not written");
    }
    return tensor;
  }
}
