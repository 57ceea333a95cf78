package io.tercel.kernels.ops;

import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.memory.KvPool;
import io.tercel.kernels.memory.KvTransform;
import io.tercel.kernels.memory.Projection;

/**
 * The operations of a forward pass on the CPU. Activations are row-major floats, one row a token; n
 * is always the number of rows. {@code ScalarOps} defines each; every other implementation gives
 * the same bits.
 *
 * <p>A NaN is carried to all that depends on it and to nothing else: to the logits of the row that
 * it is in and of those that read its keys and values. Which NaN it is, is not defined.
 */
public interface Ops extends AutoCloseable {

  /** Elements summed in floats before a sum of exponentials goes on in doubles. */
  int SUM_CHUNK = 1024;

  /** Its name: {@code scalar}, {@code vector}. */
  String name();

  /** out[row] = table[tokenId(row)], widened to floats; table is dense [vocab, H]. */
  void embed(PackedMatrix table, StepBatch batch, float[] out);

  /**
   * out = x / sqrt(mean(x^2) + eps) * weight, over rows of weight.length; the square sum by {@link
   * LaneSum}. A row whose square sum is not finite becomes NaN: dividing by infinity would make
   * zeros of it, which look sound. In place when out is x. For the norm of each head, n is rows x
   * heads.
   */
  void rmsNorm(float[] x, float[] weight, float eps, int n, float[] out);

  /**
   * Prepares n rows for the linears of a projection: aliases them where the spec is plain, gathers
   * them in the weights' order and rounds them to integers as {@link GroupedInts} says, or
   * transforms them as {@link io.tercel.kernels.memory.InputTransform} says and rounds them as
   * {@link RowInts} does.
   *
   * @param x [n][projection's inputs]; to be left alone until the linears have read it
   */
  void prepare(Projection projection, float[] x, int n, PreparedInput input);

  /** {@link #rmsNorm}, then {@link #prepare}: the same bits, without the rows in between. */
  void normPrepare(
      Projection projection, float[] x, float[] weight, float eps, int n, PreparedInput input);

  /**
   * {@link #swiglu}, then {@link #prepare}: the same bits. What gate holds afterwards is not said,
   * and it is to be left alone until the linears have read it.
   */
  void gatePrepare(Projection projection, float[] gate, float[] up, int n, PreparedInput input);

  /**
   * outs[i][row] = linears[i].weight input[row] + linears[i].bias, for every row that was prepared.
   *
   * <pre>
   * W3G128  in each group of 128, with the input's codes q and scale sx: S = sum (code - z) q, exact;
   *         y = fma(s * sx, (float) S, y), groups ascending, y from 0
   * INT8G128 the same, with codes -127..127 and no zero point
   * W4A4    over the whole row, with codes c and the input's codes q, zero point z and scale sx:
   *         S = sum c (q - z), exact; y = (s * sx) * (float) S
   * 16-bit  16 partial sums: blocks of 32 columns ascending, lane i takes column 2i, then 2i + 1
   * FP32    16 partial sums: blocks of 16 columns ascending, lane i takes column i
   *         columns after the last whole block: the i-th of them goes to lane i % 16; then {@link LaneSum#tree}
   * </pre>
   *
   * The bias is added last. |S| is at most 29,244,544 (of 8 bits 530,579,584, of 4 bits 120 a
   * column) and fits an int whatever the order; (float) rounds it once.
   *
   * @param input prepared for this projection, or one of an equal spec
   */
  void linear(Projection projection, PreparedInput input, float[][] outs);

  /** Rotates each of the heads of every row in place. */
  void rope(float[] x, int heads, int headDim, RopeTable table, int n);

  /**
   * Multiplies each of the heads of every row by a matrix, in place: y[e] = sum over d of x[d]
   * matrix[d][e], d ascending, one chain of fma from 0.
   *
   * @param matrix [headDim][headDim]
   */
  void transformHeads(float[] x, int heads, int headDim, float[] matrix, int n);

  /**
   * Writes K and V ([n][kvDim]) of every row to its slot.
   *
   * @param transform whose clips the 4-bit rounding minds; heads are transformed already
   */
  void appendKv(
      KvPool pool, int layer, StepBatch batch, float[] k, float[] v, KvTransform transform);

  /** {@link #appendKv(KvPool, int, StepBatch, float[], float[], KvTransform)} without clips. */
  default void appendKv(KvPool pool, int layer, StepBatch batch, float[] k, float[] v) {
    appendKv(pool, layer, batch, k, v, KvTransform.NONE);
  }

  /**
   * Causal attention of every row over its sequence's cache, its own position included, as {@link
   * Attention} says.
   *
   * @param q [n][heads x headDim]
   * @param out [n][heads x headDim]
   */
  void attention(KvPool pool, int layer, StepBatch batch, float[] q, int heads, float[] out);

  /** gate = silu(gate) * up, over the first count elements. */
  void swiglu(float[] gate, float[] up, int count);

  /** x += y, over the first count elements. */
  void add(float[] x, float[] y, int count);

  /**
   * Index, from 0, of the first largest among count elements from offset on; of the first NaN where
   * there is one.
   */
  int argMax(float[] x, int offset, int count);

  /**
   * Leaves only some ids to draw from: out[i] is x[offset + i], but at least -{@link
   * Float#MAX_VALUE}, where bit i is set, and minus infinity where it is not. An allowed id is
   * never impossible, however unlikely the model says.
   *
   * @param allowed bit i % 64 of word i / 64; words that are missing are 0
   * @param out the first count elements are written; may be x itself where the offset is 0
   * @return {@link #argMax} of what was written
   */
  int mask(float[] x, int offset, int count, long[] allowed, float[] out);

  /**
   * Sum of exp(x - max) over count elements from offset on: floats by {@link LaneSum} within chunks
   * of 1024, doubles over chunks.
   */
  double sumExp(float[] x, int offset, int count, float max);

  /**
   * What ids weigh in a draw: out[i] is {@link Exp#exp} of (x[offset + i] - max) / temperature.
   *
   * @param temperature above 0
   * @param out the first count elements are written
   */
  void weigh(float[] x, int offset, int count, float max, float temperature, float[] out);

  /**
   * Finds elements that are at least so large.
   *
   * @param found their indices, from 0, rising; has room for count
   * @return how many there are
   */
  int atLeast(float[] x, int offset, int count, float least, int[] found);

  /** Runs tasks 0..count-1, in parallel where it can; each must write to places of its own. */
  void forEach(int count, Task task);

  /** One of many independent pieces of work. */
  @FunctionalInterface
  interface Task {
    /**
     * Does it.
     *
     * @param index which one
     * @param worker who runs it, for scratch of its own: 0 to {@link #workers()} - 1
     */
    void run(int index, int worker);
  }

  /** How many tasks run at a time. */
  int workers();

  @Override
  void close();
}
