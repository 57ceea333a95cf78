package io.tercel.kernels.memory;

import io.tercel.kernels.format.DecoderInput;
import io.tercel.kernels.format.LayerTensors;
import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat;
import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.format.W4Tile;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SplittableRandom;

/**
 * Weights of a given shape with nothing learned in them, to time a model that is not there. Every
 * matrix has entries of mean 0 and deviation 1/sqrt(inputs), so activations stay finite. The bits
 * depend on shape, formats and seed only.
 */
public final class RandomWeights {
  /** Deviation of uniform codes 0..7 about a zero point of 3 or 4. */
  private static final double CODE_DEVIATION = Math.sqrt(5.5);

  private static final int PIECE = 1 << 20;

  private final ModelConfig config;
  private final QuantFormat linears;
  private final QuantFormat.Dense head;
  private final LmHeadType headType;
  private final WeightArena memory;
  private final RowTasks tasks;
  private final SplittableRandom seeds;

  private RandomWeights(
      ModelConfig config,
      QuantFormat linears,
      QuantFormat.Dense head,
      LmHeadType headType,
      WeightArena memory,
      RowTasks tasks,
      long seed) {
    this.config = config;
    this.linears = linears;
    this.head = head;
    this.headType = headType;
    this.memory = memory;
    this.tasks = tasks;
    this.seeds = new SplittableRandom(seed);
  }

  /**
   * Allocates and fills a store of exactly {@link WeightPlan#of(ModelConfig, QuantFormat,
   * QuantFormat.Dense)}'s bytes.
   *
   * @param head format of the embedding and the head, which stay unquantized
   */
  public static WeightStore create(
      ModelConfig config, QuantFormat linears, QuantFormat.Dense head, long seed) {
    return create(config, linears, head, LmHeadType.STORED, seed);
  }

  /**
   * As above, with a head that is rounded from what it would be as stored.
   *
   * @param embedding its format, which a head that stays as stored has as well
   */
  public static WeightStore create(
      ModelConfig config,
      QuantFormat linears,
      QuantFormat.Dense embedding,
      LmHeadType headType,
      long seed) {
    Arena arena = Arena.ofShared();
    try (RowTasks tasks = new RowTasks(Runtime.getRuntime().availableProcessors())) {
      WeightArena memory = new WeightArena(arena);
      return new RandomWeights(config, linears, embedding, headType, memory, tasks, seed).create();
    } catch (Throwable t) {
      arena.close();
      throw t;
    }
  }

  private WeightStore create() {
    int vocab = config.vocabSize();
    int hidden = config.hiddenSize();
    PackedMatrix embedding = matrix("model.embed_tokens", vocab, hidden, head);
    List<LayerWeights> layers = new ArrayList<>(config.numLayers());
    for (int i = 0; i < config.numLayers(); i++) {
      layers.add(layer(i));
    }
    return new WeightStore(
        config,
        memory.arena(),
        embedding,
        layers,
        ones(hidden),
        new Linear(headType == LmHeadType.INT8 ? int8(embedding) : stored(embedding), null));
  }

  private PackedMatrix stored(PackedMatrix embedding) {
    return config.tieWordEmbeddings()
        ? embedding
        : matrix(WeightPlan.HEAD, embedding.rows(), embedding.cols(), head);
  }

  /** The head as it would be stored, rounded; what it was made of is not kept. */
  private PackedMatrix int8(PackedMatrix embedding) {
    QuantFormat format = QuantFormat.Grouped.INT8G128;
    PackedMatrix packed =
        memory.allocate(WeightPlan.HEAD, embedding.rows(), embedding.cols(), format, null);
    try (Arena own = Arena.ofShared()) {
      PackedMatrix source = embedding;
      if (!config.tieWordEmbeddings()) {
        source =
            new WeightArena(own).allocate(packed.name(), packed.rows(), packed.cols(), head, null);
        fillDense(source, head);
      }
      Int8Rounding.round(source.segment(), head, packed, tasks);
    }
    return packed;
  }

  private LayerWeights layer(int index) {
    boolean transformed = linears == QuantFormat.PerRow.W4A4;
    Map<DecoderInput, InputTransform> inputs = new EnumMap<>(DecoderInput.class);
    for (DecoderInput input : DecoderInput.values()) {
      inputs.put(input, transformed ? transform(input) : InputTransform.NONE);
    }
    return new LayerWeights(
        LayerTensors.matrices(
            m -> linear(m, index, Objects.requireNonNull(inputs.get(DecoderInput.of(m))))),
        LayerTensors.norms(config, n -> ones(n.size(config))),
        transformed ? kvTransform() : KvTransform.NONE);
  }

  /** Of the sizes that FlatQuant gives it, so that it takes the time that it takes. */
  private InputTransform transform(DecoderInput input) {
    int left = input.leftSize(config);
    int right = input.rightSize(config);
    return new InputTransform(reflection(left), right == 0 ? null : reflection(right), 1, 1);
  }

  private KvTransform kvTransform() {
    float[] reflection = reflection(config.headDim());
    return new KvTransform(reflection, reflection, new float[] {1, 1}, new float[] {1, 1});
  }

  /** I - 2 v v^T for a random v of length 1: orthogonal, and its own inverse. */
  private float[] reflection(int size) {
    SplittableRandom random = seeds.split();
    double[] v = new double[size];
    double length = 0;
    for (int i = 0; i < size; i++) {
      v[i] = random.nextGaussian();
      length += v[i] * v[i];
    }
    float[] matrix = new float[size * size];
    for (int i = 0; i < size; i++) {
      for (int j = 0; j < size; j++) {
        matrix[i * size + j] = (float) ((i == j ? 1 : 0) - 2 * v[i] * v[j] / length);
      }
    }
    return matrix;
  }

  private static float[] ones(int size) {
    float[] ones = new float[size];
    Arrays.fill(ones, 1f);
    return ones;
  }

  private Linear linear(LayerTensors.Matrix which, int layer, InputTransform transform) {
    int rows = which.rows(config);
    PackedMatrix weight = matrix(which.name(layer), rows, which.cols(config), linears);
    float[] bias = null;
    if (which.biased(config)) {
      SplittableRandom random = seeds.split();
      bias = new float[rows];
      for (int i = 0; i < rows; i++) {
        bias[i] = (float) (0.1 * random.nextGaussian());
      }
    }
    return linears == QuantFormat.PerRow.W4A4
        ? new Linear(weight, bias, transform)
        : new Linear(weight, bias);
  }

  private PackedMatrix matrix(String name, int rows, int cols, QuantFormat format) {
    PackedMatrix matrix = memory.allocate(name, rows, cols, format, null);
    switch (format) {
      case QuantFormat.Dense dense -> fillDense(matrix, dense);
      case QuantFormat.Grouped.W3G128 -> fillBlocks(matrix);
      case QuantFormat.Grouped.INT8G128 ->
          throw new IllegalArgumentException("8-bit weights are for heads: " + name);
      case QuantFormat.PerRow.W4A4 -> fillTiles(matrix);
    }
    return matrix;
  }

  /** A generator for each piece, so that the bits don't depend on the threads. */
  private SplittableRandom[] split(int pieces) {
    SplittableRandom[] randoms = new SplittableRandom[pieces];
    Arrays.setAll(randoms, _ -> seeds.split());
    return randoms;
  }

  private void fillDense(PackedMatrix matrix, QuantFormat.Dense format) {
    long elements = (long) matrix.rows() * matrix.cols();
    // uniform in [-a, a) has deviation a / sqrt(3)
    float step = (float) (Math.sqrt(3.0 / matrix.cols()) / 32768);
    SplittableRandom[] randoms = split(Math.toIntExact(Math.ceilDiv(elements, (long) PIECE)));
    tasks.forEach(
        randoms.length,
        () ->
            piece -> {
              long first = (long) piece * PIECE;
              int count = (int) Math.min(PIECE, elements - first);
              fillFloats(matrix.segment(), format, first, count, step, randoms[piece]);
            });
  }

  private static void fillFloats(
      MemorySegment segment,
      QuantFormat.Dense format,
      long first,
      int count,
      float step,
      SplittableRandom random) {
    long bits = 0;
    for (int i = 0; i < count; i++) {
      bits = i % 4 == 0 ? random.nextLong() : bits >>> 16;
      float value = (short) bits * step;
      format.store(segment, first + i, value);
    }
  }

  /** Any 96 bits are 32 codes, so the code words are random bits as they come. */
  private void fillBlocks(PackedMatrix matrix) {
    int groups = W3Block.groups(matrix.cols());
    SplittableRandom[] randoms = split(W3Block.tiles(matrix.rows()));
    double scale = 1 / (CODE_DEVIATION * Math.sqrt(matrix.cols()));
    tasks.forEach(
        randoms.length,
        () ->
            rowBlock -> {
              int rows = Math.min(W3Block.ROWS, matrix.rows() - rowBlock * W3Block.ROWS);
              for (int g = 0; g < groups; g++) {
                long at = W3Block.blockOffset(rowBlock, g, groups);
                fillBlock(matrix.segment(), at, rows, scale, randoms[rowBlock]);
              }
            });
  }

  private void fillTiles(PackedMatrix matrix) {
    int cols = matrix.cols();
    SplittableRandom[] randoms = split(W3Block.tiles(matrix.rows()));
    // uniform codes -8..7 have deviation sqrt(21.25), about a mean that is near 0
    double scale = 1 / Math.sqrt(21.25 * cols);
    tasks.forEach(
        randoms.length,
        () -> {
          byte[] codes = new byte[W4Tile.ROWS * cols];
          return tile -> {
            int rows = Math.min(W4Tile.ROWS, matrix.rows() - tile * W4Tile.ROWS);
            short[] scales = new short[W4Tile.ROWS];
            randoms[tile].nextBytes(codes);
            for (int i = 0; i < codes.length; i++) {
              codes[i] = (byte) (codes[i] >> 4);
            }
            for (int r = 0; r < rows; r++) {
              double jitter = 0.75 + 0.5 * randoms[tile].nextDouble();
              scales[r] = Float.floatToFloat16((float) (scale * jitter));
            }
            W4Tile.pack(codes, cols, scales, matrix.segment(), tile * W4Tile.tileBytes(cols));
          };
        });
  }

  private static void fillBlock(
      MemorySegment segment, long offset, int rows, double scale, SplittableRandom random) {
    for (int i = 0; i < W3Block.SCALES_OFFSET; i += Long.BYTES) {
      segment.set(ValueLayout.JAVA_LONG_UNALIGNED, offset + i, random.nextLong());
    }
    for (int r = 0; r < rows; r++) {
      float jittered = (float) (scale * (0.75 + 0.5 * random.nextDouble()));
      // a zero point of 3 or 4 at even odds: the mean of the codes is 3.5
      byte zero = (byte) (3 + random.nextInt(2));
      W3Block.setScale(segment, offset, r, Float.floatToFloat16(jittered), zero);
    }
  }
}
