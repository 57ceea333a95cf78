package io.tercel.kernels.format;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.function.ToIntFunction;
import org.jspecify.annotations.Nullable;

/**
 * One decoder layer: a matrix for each of its linears and a vector for each of its norms, in
 * whatever form. The two lists here are the only ones of what a layer is made of.
 *
 * @param <M> what stands for a linear
 * @param <V> what stands for a norm's weights
 */
public class LayerTensors<M, V> {
  /** The linears, in the order of the forward pass. */
  public enum Matrix {
    Q("self_attn.q_proj", ModelConfig::queryDim, ModelConfig::hiddenSize),
    K("self_attn.k_proj", ModelConfig::kvDim, ModelConfig::hiddenSize),
    V("self_attn.v_proj", ModelConfig::kvDim, ModelConfig::hiddenSize),
    O("self_attn.o_proj", ModelConfig::hiddenSize, ModelConfig::queryDim),
    GATE("mlp.gate_proj", ModelConfig::intermediateSize, ModelConfig::hiddenSize),
    UP("mlp.up_proj", ModelConfig::intermediateSize, ModelConfig::hiddenSize),
    DOWN("mlp.down_proj", ModelConfig::hiddenSize, ModelConfig::intermediateSize);

    private final String path;
    private final ToIntFunction<ModelConfig> rows;
    private final ToIntFunction<ModelConfig> cols;

    Matrix(String path, ToIntFunction<ModelConfig> rows, ToIntFunction<ModelConfig> cols) {
      this.path = path;
      this.rows = rows;
      this.cols = cols;
    }

    /** Its name in a checkpoint, without {@code .weight}. */
    public String name(int layer) {
      return prefix(layer) + path;
    }

    /** Outputs. */
    public int rows(ModelConfig config) {
      return rows.applyAsInt(config);
    }

    /** Inputs. */
    public int cols(ModelConfig config) {
      return cols.applyAsInt(config);
    }

    /** Whether models of this architecture have a bias here. */
    public boolean biased(ModelConfig config) {
      return config.architecture() == ModelConfig.Architecture.QWEN2
          && (this == Q || this == K || this == V);
    }
  }

  /** The norms, in the order of the forward pass. */
  public enum Norm {
    INPUT("input_layernorm", ModelConfig::hiddenSize),
    Q_HEAD("self_attn.q_norm", ModelConfig::headDim),
    K_HEAD("self_attn.k_norm", ModelConfig::headDim),
    POST_ATTENTION("post_attention_layernorm", ModelConfig::hiddenSize);

    private final String path;
    private final ToIntFunction<ModelConfig> size;

    Norm(String path, ToIntFunction<ModelConfig> size) {
      this.path = path;
      this.size = size;
    }

    /** Its name in a checkpoint, without {@code .weight}. */
    public String name(int layer) {
      return prefix(layer) + path;
    }

    public int size(ModelConfig config) {
      return size.applyAsInt(config);
    }

    /** Whether models of this architecture have it. */
    public boolean present(ModelConfig config) {
      return config.architecture() == ModelConfig.Architecture.QWEN3
          || this == INPUT
          || this == POST_ATTENTION;
    }
  }

  private final Map<Matrix, M> matrices = new EnumMap<>(Matrix.class);
  private final Map<Norm, V> norms = new EnumMap<>(Norm.class);

  /**
   * @param matrices of those that there are
   * @param norms likewise
   */
  public LayerTensors(Map<Matrix, ? extends M> matrices, Map<Norm, ? extends V> norms) {
    this.matrices.putAll(matrices);
    this.norms.putAll(norms);
  }

  private static String prefix(int layer) {
    return "model.layers." + layer + ".";
  }

  /** All linears, each made once, in order. */
  public static <M> Map<Matrix, M> matrices(Function<Matrix, M> make) {
    Map<Matrix, M> made = new EnumMap<>(Matrix.class);
    for (Matrix matrix : Matrix.values()) {
      made.put(matrix, make.apply(matrix));
    }
    return made;
  }

  /** The norms that a model's layers have, each made once, in order. */
  public static <V> Map<Norm, V> norms(ModelConfig config, Function<Norm, V> make) {
    Map<Norm, V> made = new EnumMap<>(Norm.class);
    for (Norm norm : Norm.values()) {
      if (norm.present(config)) {
        made.put(norm, make.apply(norm));
      }
    }
    return made;
  }

  /** The same linears in another form. */
  public <N> Map<Matrix, N> mapMatrices(Function<? super M, ? extends N> form) {
    Map<Matrix, N> mapped = new EnumMap<>(Matrix.class);
    matrices.forEach((matrix, m) -> mapped.put(matrix, form.apply(m)));
    return mapped;
  }

  /** The same norms in another form. */
  public <W> Map<Norm, W> mapNorms(Function<? super V, ? extends W> form) {
    Map<Norm, W> mapped = new EnumMap<>(Norm.class);
    norms.forEach((norm, v) -> mapped.put(norm, form.apply(v)));
    return mapped;
  }

  /** The linears in order. */
  public List<M> matrices() {
    return new ArrayList<>(matrices.values());
  }

  /** The norms in order, as far as the model has them. */
  public List<V> norms() {
    return new ArrayList<>(norms.values());
  }

  /**
   * @throws IllegalStateException if it isn't there (yet)
   */
  public M matrix(Matrix which) {
    M matrix = matrices.get(which);
    if (matrix == null) {
      throw new IllegalStateException("the layer has no " + which);
    }
    return matrix;
  }

  /** Null where the model has none. */
  public @Nullable V norm(Norm which) {
    return norms.get(which);
  }

  private V requireNorm(Norm which) {
    V norm = norms.get(which);
    if (norm == null) {
      throw new IllegalStateException("the layer has no norm " + which);
    }
    return norm;
  }

  /** [Q, H]. H = hidden, Q = heads x headDim, K = kvHeads x headDim, F = ffn. */
  public M q() {
    return matrix(Matrix.Q);
  }

  /** [K, H]. */
  public M k() {
    return matrix(Matrix.K);
  }

  /** [K, H]. */
  public M v() {
    return matrix(Matrix.V);
  }

  /** [H, Q]. */
  public M o() {
    return matrix(Matrix.O);
  }

  /** [F, H]. */
  public M gate() {
    return matrix(Matrix.GATE);
  }

  /** [F, H]. */
  public M up() {
    return matrix(Matrix.UP);
  }

  /** [H, F]. */
  public M down() {
    return matrix(Matrix.DOWN);
  }

  /** [H]. */
  public V inputNorm() {
    return requireNorm(Norm.INPUT);
  }

  /** [H]. */
  public V postAttentionNorm() {
    return requireNorm(Norm.POST_ATTENTION);
  }

  /** [headDim], or null. */
  public @Nullable V qNorm() {
    return norm(Norm.Q_HEAD);
  }

  /** [headDim], or null. */
  public @Nullable V kNorm() {
    return norm(Norm.K_HEAD);
  }
}
