package io.tercel.kernels.memory;

import io.tercel.kernels.format.DecoderInput;
import io.tercel.kernels.format.LayerTensors.Matrix;
import io.tercel.kernels.format.PackedMatrix;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SequencedCollection;
import java.util.SequencedMap;
import org.jspecify.annotations.Nullable;

/**
 * A store's weights by the names that a checkpoint gives them, {@code .weight} and {@code .bias}
 * included; a linear's is its weight's whatever the format. A tied head is the embedding and has no
 * name of its own. What is shared by models, such as a transform that does nothing, has none
 * either.
 */
public final class StoredTensors {
  private final SequencedMap<String, PackedMatrix> matrices = new LinkedHashMap<>();
  private final SequencedMap<String, float[]> vectors = new LinkedHashMap<>();

  StoredTensors(WeightStore store) {
    add("model.embed_tokens", store.embedding(), null);
    for (int i = 0; i < store.layers().size(); i++) {
      add(store.layers().get(i), i);
    }
    vectors.put("model.norm.weight", store.finalNorm());
    if (store.head().weight() != store.embedding()) {
      add(WeightPlan.HEAD, store.head().weight(), store.head().bias());
    }
  }

  private void add(String name, PackedMatrix matrix, float @Nullable [] bias) {
    matrices.put(name + ".weight", matrix);
    put(name + ".bias", bias);
  }

  private void put(String name, float @Nullable [] vector) {
    if (vector != null) {
      vectors.put(name, vector);
    }
  }

  private void add(LayerWeights layer, int index) {
    layer.mapNorms(v -> v).forEach((norm, v) -> put(norm.name(index) + ".weight", v));
    for (Map.Entry<Matrix, Linear> entry : layer.mapMatrices(m -> m).entrySet()) {
      Linear linear = entry.getValue();
      add(entry.getKey().name(index), linear.weight(), linear.bias());
      if (linear.input() instanceof InputSpec.Int4PerToken(InputTransform transform)
          && transform != InputTransform.NONE) {
        String name = DecoderInput.of(entry.getKey()).transformName(index);
        put(name + ".left", transform.left());
        put(name + ".right", transform.right());
        put(name + ".clip", transform.clip());
      }
    }
    KvTransform kv = layer.kv();
    if (kv != KvTransform.NONE) {
      String attention = "model.layers." + index + ".self_attn.";
      put(attention + "k_transform", kv.key());
      put(attention + "q_transform", kv.query());
      put(attention + "k_clip", kv.keyClip());
      put(attention + "v_clip", kv.valueClip());
    }
  }

  /** Null if there is none of this name. */
  public @Nullable PackedMatrix matrix(String name) {
    return matrices.get(name);
  }

  /** A norm, a bias or a part of a transform, as it is computed with; null if there is none. */
  public float @Nullable [] vector(String name) {
    return vectors.get(name);
  }

  /** Names of matrices in the order of the forward pass. */
  public SequencedCollection<String> matrices() {
    return matrices.sequencedKeySet();
  }

  /** Names of vectors. */
  public SequencedCollection<String> vectors() {
    return vectors.sequencedKeySet();
  }
}
