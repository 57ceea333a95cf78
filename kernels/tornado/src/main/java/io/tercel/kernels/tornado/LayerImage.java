package io.tercel.kernels.tornado;

import io.tercel.kernels.memory.LayerWeights;
import io.tercel.kernels.memory.Linear;
import java.util.List;

/**
 * The weights of one decoder layer as they lie on the device.
 *
 * @param image both arrays
 * @param qkv q, k and v, stacked as far as they can be
 * @param o the attention's output
 * @param gateUp gate and up, likewise
 * @param down back to the residual stream
 * @param inputNorm where weights of norms lie in the image's floats; of a head, -1 if there are
 *     none
 * @param kv transforms of queries and keys, and clips
 */
record LayerImage(
    WeightImage image,
    List<MatrixStack> qkv,
    MatrixStack o,
    List<MatrixStack> gateUp,
    MatrixStack down,
    int inputNorm,
    int postAttentionNorm,
    int qNorm,
    int kNorm,
    KvTransformPlace kv) {

  static LayerImage of(int layer, LayerWeights w) {
    WeightImage image = new WeightImage("layer " + layer);
    return new LayerImage(
        image,
        stacks(image, List.of(w.q(), w.k(), w.v())),
        image.stack(List.of(w.o())),
        stacks(image, List.of(w.gate(), w.up())),
        image.stack(List.of(w.down())),
        image.vector(w.inputNorm()),
        image.vector(w.postAttentionNorm()),
        image.vector(w.qNorm()),
        image.vector(w.kNorm()),
        KvTransformPlace.of(w.kv(), image));
  }

  private static List<MatrixStack> stacks(WeightImage image, List<Linear> group) {
    return MatrixStack.runs(group).stream().map(image::stack).toList();
  }

  /** Columns of all outputs of layers that read the same input. */
  static int width(List<MatrixStack> stacks) {
    return stacks.stream().mapToInt(MatrixStack::rows).sum();
  }
}
