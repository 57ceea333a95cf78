package io.tercel.trainer.ptq;

import io.tercel.kernels.format.GptqDecoder;
import io.tercel.kernels.format.LayerSource;
import io.tercel.kernels.format.LayerTensors;
import io.tercel.kernels.format.LayerTensors.Matrix;
import io.tercel.kernels.format.LayerTensors.Norm;
import io.tercel.kernels.format.LinearSource;
import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat;
import io.tercel.kernels.format.SafetensorsFile;
import io.tercel.kernels.format.Tensor;
import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.memory.LayerWeights;
import io.tercel.kernels.memory.Linear;
import io.tercel.kernels.ops.Ops;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.Map;

/** Layers that an earlier run has written, as the engine computes with them. */
final class FinishedLayers {
  private final Map<String, Tensor> tensors = new HashMap<>();
  private final boolean v2;
  private final Ops ops;

  /**
   * @param file of tensors, mapped into the arena
   * @param v2 whether zero points are stored as they are
   */
  FinishedLayers(Path file, boolean v2, Ops ops, Arena arena) {
    SafetensorsFile.open(file, arena).tensors().forEach(t -> tensors.put(t.name(), t));
    this.v2 = v2;
    this.ops = ops;
  }

  /**
   * One layer.
   *
   * @param source where its shape and names are from
   * @param arena to hold it
   */
  LayerWeights layer(LayerSource source, Arena arena) {
    Map<Matrix, Linear> linears = LayerTensors.matrices(m -> linear(source.matrix(m), arena));
    Map<Norm, float[]> norms = new EnumMap<>(Norm.class);
    source.mapNorms(norm -> tensor(norm.name()).toFloats()).forEach(norms::put);
    return new LayerWeights(linears, norms);
  }

  private Linear linear(LinearSource source, Arena arena) {
    String name = source.name();
    Tensor bias = source.bias();
    LinearSource.Gptq packed =
        new LinearSource.Gptq(
            name,
            source.rows(),
            source.cols(),
            tensor(name + ".qweight"),
            tensor(name + ".qzeros"),
            tensor(name + ".scales"),
            v2 ? 0 : 1,
            false,
            null,
            null);
    PackedMatrix matrix =
        new PackedMatrix(
            name,
            arena.allocate(W3Block.matrixBytes(source.rows(), source.cols()), 64),
            source.rows(),
            source.cols(),
            QuantFormat.Grouped.W3G128,
            null);
    ops.forEach(
        W3Block.tiles(source.rows()),
        (tile, worker) -> new GptqDecoder(packed).decode(tile, matrix.segment()));
    return new Linear(matrix, bias == null ? null : tensor(bias.name()).toFloats());
  }

  private Tensor tensor(String name) {
    Tensor tensor = tensors.get(name);
    if (tensor == null) {
      throw new IllegalStateException(name + " was not written");
    }
    return tensor;
  }
}
