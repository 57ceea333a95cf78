package io.tercel.kernels.memory;

import io.tercel.kernels.format.LayerTensors;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/** The weights of one decoder layer as they are computed with. */
public final class LayerWeights extends LayerTensors<Linear, float[]> {
  private final KvTransform kv;

  public LayerWeights(Map<Matrix, Linear> matrices, Map<Norm, float[]> norms) {
    this(matrices, norms, KvTransform.NONE);
  }

  /**
   * @param kv what happens to queries, keys and values before the cache
   */
  public LayerWeights(Map<Matrix, Linear> matrices, Map<Norm, float[]> norms, KvTransform kv) {
    super(matrices, norms);
    this.kv = kv;
  }

  /** What happens to queries, keys and values before the cache. */
  public KvTransform kv() {
    return kv;
  }

  /** All that transforms are made of, each once, in one order for all layers of a model. */
  List<float[]> transforms() {
    List<float[]> all = new ArrayList<>();
    for (Linear linear : List.of(q(), o(), up(), down())) {
      if (linear.input() instanceof InputSpec.Int4PerToken spec
          && spec.transform() != InputTransform.NONE) {
        all.addAll(spec.transform().floats());
      }
    }
    if (kv != KvTransform.NONE) {
      all.addAll(kv.floats());
    }
    return all;
  }

  /** These weights and one linear more, or another in its place. */
  public LayerWeights with(Matrix which, Linear linear) {
    Map<Matrix, Linear> more = new EnumMap<>(Matrix.class);
    more.putAll(mapMatrices(m -> m));
    more.put(which, linear);
    return new LayerWeights(more, mapNorms(v -> v), kv);
  }
}
