package io.tercel.kernels.memory;

import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.format.DecoderInput;
import io.tercel.kernels.format.LayerSource;
import io.tercel.kernels.format.LayerTensors;
import io.tercel.kernels.format.LinearSource;
import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.format.QuantFormat;
import io.tercel.kernels.format.Tensor;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a model's weights will take, before any of it is allocated. The bytes are those that the
 * loader allocates, matrix by matrix: {@code offHeapBytes() == weightStore.bytes()}.
 *
 * @param matrices in the order of loading; a tied head is not among them
 * @param heapBytes norms, biases and transforms, in fp32
 * @param largestKeyBias the largest magnitude in a bias of keys: what makes outlier channels of
 *     them, 0 where keys have none
 */
public record WeightPlan(List<Matrix> matrices, long heapBytes, float largestKeyBias) {

  /** The name of a head that is a matrix of its own. */
  static final String HEAD = "lm_head";

  /** One matrix [rows, cols] of the plan. */
  public record Matrix(String name, int rows, int cols, QuantFormat format) {
    /** Off-heap bytes. */
    public long bytes() {
      return format.bytes(rows, cols);
    }
  }

  public WeightPlan {
    matrices = List.copyOf(matrices);
  }

  /** Off-heap bytes of all matrices. */
  public long offHeapBytes() {
    return matrices.stream().mapToLong(Matrix::bytes).sum();
  }

  /** The plan of a checkpoint whose head stays as it is stored. */
  public static WeightPlan of(Checkpoint checkpoint) {
    return of(checkpoint, LmHeadType.STORED);
  }

  /** The plan of a checkpoint. */
  public static WeightPlan of(Checkpoint checkpoint, LmHeadType headType) {
    Tally tally = new Tally();
    tally.add(checkpoint.embedding());
    for (LayerSource layer : checkpoint.layers()) {
      layer.matrices().forEach(tally::add);
      layer.norms().forEach(tally::add);
      layer.transformTensors().forEach(tally::add);
      tally.keyBias(layer.k().bias());
    }
    tally.add(checkpoint.finalNorm());
    LinearSource head = checkpoint.head();
    if (head != null || headType != LmHeadType.STORED) {
      LinearSource source = head == null ? checkpoint.embedding() : head;
      tally.add(HEAD, source.rows(), source.cols(), headType.format(source.format()));
      Tensor bias = source.bias();
      if (bias != null) {
        tally.add(bias);
      }
    }
    return tally.plan();
  }

  /**
   * The plan of a shape, its linears in one format and its embedding and head in another.
   *
   * @param head of the embedding too
   */
  public static WeightPlan of(ModelConfig config, QuantFormat linears, QuantFormat.Dense head) {
    return of(config, linears, head, LmHeadType.STORED);
  }

  /**
   * The plan of a shape.
   *
   * @param embedding its format, which a head that stays as stored has as well
   */
  public static WeightPlan of(
      ModelConfig config, QuantFormat linears, QuantFormat.Dense embedding, LmHeadType headType) {
    int hidden = config.hiddenSize();
    Tally tally = new Tally();
    tally.add("model.embed_tokens", config.vocabSize(), hidden, embedding);
    for (int i = 0; i < config.numLayers(); i++) {
      for (LayerTensors.Matrix m : LayerTensors.Matrix.values()) {
        tally.add(m.name(i), m.rows(config), m.cols(config), linears);
        tally.floats += m.biased(config) ? m.rows(config) : 0;
      }
      for (LayerTensors.Norm n : LayerTensors.Norm.values()) {
        tally.floats += n.present(config) ? n.size(config) : 0;
      }
      tally.floats += linears == QuantFormat.PerRow.W4A4 ? transformFloats(config) : 0;
    }
    tally.floats += hidden;
    if (!config.tieWordEmbeddings() || headType != LmHeadType.STORED) {
      tally.add(HEAD, config.vocabSize(), hidden, headType.format(embedding));
    }
    return tally.plan();
  }

  /** Of the matrices and clips of a layer whose inputs have 4 bits, as FlatQuant has them. */
  private static long transformFloats(ModelConfig config) {
    long floats = 2L * config.headDim() * config.headDim() + 4;
    for (DecoderInput input : DecoderInput.values()) {
      long left = input.leftSize(config);
      long right = input.rightSize(config);
      floats += left * left + right * right + 2;
    }
    return floats;
  }

  /** The sums as they grow. */
  private static final class Tally {
    private final List<Matrix> matrices = new ArrayList<>();
    private long floats;
    private float largestKeyBias;

    void keyBias(@Nullable Tensor bias) {
      for (long i = 0; bias != null && i < bias.elements(); i++) {
        largestKeyBias = Math.max(largestKeyBias, Math.abs(bias.floatAt(i)));
      }
    }

    void add(String name, int rows, int cols, QuantFormat format) {
      matrices.add(new Matrix(name, rows, cols, format));
    }

    void add(LinearSource linear) {
      add(linear.name(), linear.rows(), linear.cols(), linear.format());
      Tensor bias = linear.bias();
      if (bias != null) {
        add(bias);
      }
    }

    void add(Tensor vector) {
      floats += vector.elements();
    }

    WeightPlan plan() {
      return new WeightPlan(matrices, floats * Float.BYTES, largestKeyBias);
    }
  }
}
