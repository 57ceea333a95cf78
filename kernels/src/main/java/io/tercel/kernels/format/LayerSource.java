package io.tercel.kernels.format;

import java.util.EnumMap;
import java.util.Map;
import java.util.stream.Stream;

/** Where one decoder layer lies in a checkpoint. */
public final class LayerSource extends LayerTensors<LinearSource, Tensor> {
  private final Map<DecoderInput, TransformSource> transforms = new EnumMap<>(DecoderInput.class);
  private final KvTransformSource kv;

  public LayerSource(Map<Matrix, LinearSource> matrices, Map<Norm, Tensor> norms) {
    this(matrices, norms, Map.of(), KvTransformSource.NONE);
  }

  /**
   * @param transforms of the inputs, where linears are {@link LinearSource.W4}
   * @param kv of queries, keys and values
   */
  public LayerSource(
      Map<Matrix, LinearSource> matrices,
      Map<Norm, Tensor> norms,
      Map<DecoderInput, TransformSource> transforms,
      KvTransformSource kv) {
    super(matrices, norms);
    this.transforms.putAll(transforms);
    this.kv = kv;
  }

  /** What an input goes through; nothing where linears are of another kind. */
  public TransformSource transform(DecoderInput input) {
    return transforms.getOrDefault(input, new TransformSource(null, null, null));
  }

  /** What queries, keys and values go through. */
  public KvTransformSource kv() {
    return kv;
  }

  /** The tensors of all transforms that there are. */
  public Stream<Tensor> transformTensors() {
    return Stream.concat(
        transforms.values().stream().flatMap(TransformSource::tensors), kv.tensors());
  }
}
