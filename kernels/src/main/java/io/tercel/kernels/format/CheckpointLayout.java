package io.tercel.kernels.format;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Finds every tensor that a config asks for and checks its type and shape, under the names that
 * Hugging Face gives them. Nothing is read but g_idx.
 */
final class CheckpointLayout {
  private static final String NEEDS_ORDER =
      "; desc_act is true, so only it says which inputs share a scale (where they lie in their"
          + " natural order, desc_act is to be false)";

  private final ModelConfig config;
  private final TensorTable tensors;
  private final @Nullable GptqSettings gptq;
  private final @Nullable CompressedLayout compressed;
  private final @Nullable W4Layout w4;

  /** A g_idx that is not the natural order, and a layer of several groups that has none. */
  private @Nullable Tensor reordered;

  private @Nullable String withoutOrder;

  /**
   * @param gptq null where linears are not GPTQ's
   * @param compressed null where they are not of compressed-tensors
   * @param w4 whether they are of 4 bits
   */
  CheckpointLayout(
      ModelConfig config,
      TensorTable tensors,
      @Nullable GptqSettings gptq,
      @Nullable CompressedSettings compressed,
      boolean w4) {
    this.compressed = compressed == null ? null : new CompressedLayout(tensors, compressed);
    this.w4 = w4 ? new W4Layout(config, tensors) : null;
    this.config = config;
    this.tensors = tensors;
    this.gptq = gptq;
  }

  LinearSource.Plain embedding() {
    Tensor weight = tensors.require("model.embed_tokens.weight", "");
    checkFloats(weight, config.vocabSize(), config.hiddenSize());
    return new LinearSource.Plain("model.embed_tokens", weight, null);
  }

  /** The head, or null when it is the embedding. */
  LinearSource.@Nullable Plain head() {
    if (config.tieWordEmbeddings()) {
      return null;
    }
    Tensor weight =
        tensors.require(
            "lm_head.weight",
            tensors.has("lm_head.qweight") || tensors.has("lm_head.weight_packed")
                ? "; a quantized head is not implemented"
                : "; tie_word_embeddings is false, so the head is a matrix of its own");
    checkFloats(weight, config.vocabSize(), config.hiddenSize());
    Tensor bias = tensors.find("lm_head.bias");
    if (bias != null) {
      checkFloats(bias, config.vocabSize());
    }
    return new LinearSource.Plain("lm_head", weight, bias);
  }

  Tensor finalNorm() {
    return vector("model.norm.weight", config.hiddenSize());
  }

  List<LayerSource> layers() {
    List<LayerSource> layers = new ArrayList<>(config.numLayers());
    for (int i = 0; i < config.numLayers(); i++) {
      layers.add(layer(i));
    }
    if (reordered != null && withoutOrder != null) {
      throw new CheckpointException(
          "%s reorders its inputs, but tensor %s.g_idx is missing; expected it in every layer or in none"
              .formatted(reordered.where(), withoutOrder));
    }
    return layers;
  }

  private LayerSource layer(int index) {
    // first of all, so that a missing layer is named by its first tensor
    Tensor inputNorm = norm(LayerTensors.Norm.INPUT, index);
    return new LayerSource(
        LayerTensors.matrices(
            m -> linear(m.name(index), m.rows(config), m.cols(config), m.biased(config))),
        LayerTensors.norms(config, n -> n == LayerTensors.Norm.INPUT ? inputNorm : norm(n, index)),
        w4 == null ? Map.of() : w4.transforms(index),
        w4 == null ? KvTransformSource.NONE : w4.kvTransform(index));
  }

  private Tensor norm(LayerTensors.Norm norm, int layer) {
    return vector(norm.name(layer) + ".weight", norm.size(config));
  }

  private Tensor vector(String name, int size) {
    Tensor tensor = tensors.require(name, "; " + config.architecture() + " needs it");
    checkFloats(tensor, size);
    return tensor;
  }

  private LinearSource linear(String name, int rows, int cols, boolean biasRequired) {
    Tensor bias =
        biasRequired
            ? tensors.require(name + ".bias", "; " + config.architecture() + " needs it")
            : tensors.find(name + ".bias");
    if (bias != null) {
      checkFloats(bias, rows);
    }
    if (w4 != null) {
      return w4.linear(name, rows, cols, bias);
    }
    if (compressed != null) {
      return compressed.linear(name, rows, cols, bias);
    }
    if (gptq == null || !tensors.has(name + ".qweight")) {
      String hint = "";
      if (tensors.has(name + ".qweight")) {
        hint = ", but there is a .qweight: config.json has no quantization_config";
      } else if (tensors.has(name + ".weight_packed")) {
        hint =
            ", but there is a .weight_packed: config.json has no quantization_config that says how it is packed";
      } else if (gptq != null) {
        hint = ", and so is its .qweight";
      }
      Tensor weight = tensors.require(name + ".weight", hint);
      checkFloats(weight, rows, cols);
      return new LinearSource.Plain(name, weight, bias);
    }
    requireNoPlain(tensors, name, ".qweight");
    return quantized(gptq, name, rows, cols, bias);
  }

  private LinearSource quantized(
      GptqSettings settings, String name, int rows, int cols, @Nullable Tensor bias) {
    Tensor qweight = tensors.require(name + ".qweight", "");
    Tensor qzeros = tensors.require(name + ".qzeros", "; a .qweight needs it");
    Tensor scales = tensors.require(name + ".scales", "; a .qweight needs it");
    Tensor gIdx = tensors.find(name + ".g_idx");
    if (rows % 32 != 0 || cols % 32 != 0) {
      throw new CheckpointException(
          "%s is quantized, but %d x %d are no multiples of 32"
              .formatted(qweight.where(), rows, cols));
    }
    int groups = W3Block.groups(cols);
    check(qweight, List.of(DType.I32), cols / 32L * 3, rows);
    check(qzeros, List.of(DType.I32), groups, rows / 32L * 3);
    check(scales, List.of(DType.F16, DType.BF16, DType.F32), groups, rows);
    if (gIdx != null) {
      check(gIdx, List.of(DType.I32), cols);
    }
    int[] order = null;
    if (gIdx != null) {
      order = ActOrder.of(gIdx, cols);
      reordered = order == null ? reordered : gIdx;
    } else if (groups > 1) { // a single group has no order
      if (settings.actOrder()) {
        tensors.require(name + ".g_idx", NEEDS_ORDER);
      }
      withoutOrder = name;
    }
    return new LinearSource.Gptq(
        name,
        rows,
        cols,
        qweight,
        qzeros,
        scales,
        settings.zeroOffset(),
        settings.symmetric(),
        order,
        bias);
  }

  private static void checkFloats(Tensor tensor, long... shape) {
    check(tensor, List.of(DType.F32, DType.F16, DType.BF16), shape);
  }

  /** Refuses a linear that is there twice: as its packed tensors, and plain. */
  static void requireNoPlain(TensorTable tensors, String name, String packed) {
    if (tensors.has(name + ".weight")) {
      throw new CheckpointException(
          tensors.require(name + ".weight", "").where() + " is there beside a " + packed);
    }
  }

  static void check(Tensor tensor, List<DType> types, long... shape) {
    List<Long> expected = new ArrayList<>(shape.length);
    for (long dim : shape) {
      expected.add(dim);
    }
    if (!tensor.shape().equals(expected)) {
      throw new CheckpointException(
          "%s has shape %s; expected %s".formatted(tensor.where(), tensor.shape(), expected));
    }
    if (!types.contains(tensor.dtype())) {
      throw new CheckpointException(
          "%s holds %s; expected %s"
              .formatted(
                  tensor.where(),
                  tensor.dtype(),
                  String.join(" or ", types.stream().map(DType::name).toList())));
    }
  }
}
