package io.tercel.kernels.format;

import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Finds the tensors of a w4a4kv4 checkpoint's layers and checks their types and shapes. */
final class W4Layout {
  private final ModelConfig config;
  private final TensorTable tensors;

  W4Layout(ModelConfig config, TensorTable tensors) {
    this.config = config;
    this.tensors = tensors;
  }

  LinearSource.W4 linear(String name, int rows, int cols, @Nullable Tensor bias) {
    Tensor packed =
        tensors.require(name + ".weight_packed", "; w4a4kv4 has one for each linear layer");
    Tensor scale = tensors.require(name + ".weight_scale", "; a .weight_packed needs it");
    CheckpointLayout.requireNoPlain(tensors, name, ".weight_packed");
    if (cols % 2 != 0) {
      throw new CheckpointException(packed.where() + " has an odd number of inputs, " + cols);
    }
    CheckpointLayout.check(packed, List.of(DType.U8), rows, cols / 2);
    CheckpointLayout.check(scale, List.of(DType.F16), rows);
    return new LinearSource.W4(name, rows, cols, packed, scale, bias);
  }

  /** What the inputs of a layer's linears go through. */
  Map<DecoderInput, TransformSource> transforms(int layer) {
    Map<DecoderInput, TransformSource> transforms = new EnumMap<>(DecoderInput.class);
    for (DecoderInput input : DecoderInput.values()) {
      transforms.put(input, transform(input, layer));
    }
    return transforms;
  }

  private TransformSource transform(DecoderInput input, int layer) {
    String name = input.transformName(layer);
    int width = input.width(config);
    Tensor left = square(name + ".left", width);
    Tensor right = square(name + ".right", width);
    long product = side(left) * side(right);
    if (left != null && right != null && product != width) {
      throw new CheckpointException(
          "%s and %s are of %d and %d; expected two factors of %d"
              .formatted(left.where(), right.name(), side(left), side(right), width));
    }
    return new TransformSource(left, right, clip(name + ".clip"));
  }

  /** Of queries, keys and values. */
  KvTransformSource kvTransform(int layer) {
    String attention = "model.layers." + layer + ".self_attn.";
    Tensor key = tensors.find(attention + "k_transform");
    Tensor query = tensors.find(attention + "q_transform");
    if (key != null && query == null) {
      query = tensors.require(attention + "q_transform", "; a k_transform needs it");
    } else if (key == null && query != null) {
      key = tensors.require(attention + "k_transform", "; a q_transform needs it");
    }
    if (key != null && query != null) {
      long headDim = config.headDim();
      CheckpointLayout.check(key, List.of(DType.F32), headDim, headDim);
      CheckpointLayout.check(query, List.of(DType.F32), headDim, headDim);
    }
    return new KvTransformSource(
        key, query, clip(attention + "k_clip"), clip(attention + "v_clip"));
  }

  private @Nullable Tensor square(String name, int width) {
    Tensor tensor = tensors.find(name);
    if (tensor == null) {
      return null;
    }
    long side = tensor.shape().isEmpty() ? 0 : tensor.shape().getFirst();
    if (side < 1 || width % side != 0) {
      throw new CheckpointException(
          "%s has shape %s; expected a square matrix whose side divides %d"
              .formatted(tensor.where(), tensor.shape(), width));
    }
    CheckpointLayout.check(tensor, List.of(DType.F32), side, side);
    return tensor;
  }

  private static long side(@Nullable Tensor square) {
    return square == null ? 1 : square.shape().getFirst();
  }

  private @Nullable Tensor clip(String name) {
    Tensor tensor = tensors.find(name);
    if (tensor != null) {
      CheckpointLayout.check(tensor, List.of(DType.F32), 2);
    }
    return tensor;
  }
}
