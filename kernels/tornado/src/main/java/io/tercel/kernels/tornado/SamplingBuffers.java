package io.tercel.kernels.tornado;

import io.tercel.kernels.ops.Noise;
import io.tercel.kernels.ops.SamplingRow;
import uk.ac.manchester.tornado.api.types.arrays.DoubleArray;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * What is asked of the logits and what is answered, a few numbers a row; see {@link
 * SamplingKernels}.
 */
final class SamplingBuffers {
  /** How many are wanted, then which rows. */
  final IntArray wants;

  final IntArray asks;
  final FloatArray knobs;
  final DoubleArray draws;
  final IntArray tokens;
  final FloatArray values;
  final DoubleArray totals;

  /** [rows][2][chunks], on the device only. */
  final DoubleArray chunks;

  /** What chunks found, on the device only. */
  final IntArray found;

  /** Which of the wanted rows' logits are to come to the host. */
  final IntArray which = new IntArray(2);

  /** The logits that came: [vocab]. */
  final FloatArray logits;

  private int count;

  SamplingBuffers(int rows, int vocab) {
    wants = new IntArray(StepLayout.HEADER + rows);
    asks = new IntArray(4 * rows);
    knobs = new FloatArray(4 * rows);
    draws = new DoubleArray(rows);
    tokens = new IntArray(4 * rows);
    values = new FloatArray(2 * rows);
    totals = new DoubleArray(rows);
    chunks = new DoubleArray(2 * rows * chunks(vocab));
    found = new IntArray(rows * chunks(vocab) * SamplingKernels.FOUND);
    logits = new FloatArray(vocab);
    wants.init(0);
    asks.init(-1);
    knobs.init(0f);
    draws.init(0);
    tokens.init(0);
    values.init(0f);
    totals.init(0);
    chunks.init(0);
    found.init(0);
    which.init(0);
    logits.init(0f);
  }

  /** Work groups that a row's logits are spread over. */
  static int chunks(int vocab) {
    return Math.ceilDiv(vocab, SamplingKernels.CHUNK);
  }

  void clear() {
    count = 0;
    wants.set(StepLayout.N, 0);
  }

  int count() {
    return count;
  }

  /**
   * Asks for a row.
   *
   * @param rowOfPass its number in the pass
   */
  void add(SamplingRow row, int rowOfPass) {
    wants.set(StepLayout.HEADER + count, rowOfPass);
    boolean here = !onHost(row);
    asks.set(4 * count, here && !row.samples() ? row.target() : -1);
    asks.set(4 * count + 1, row.topK());
    asks.set(4 * count + 2, row.samples() ? 0 : 1);
    knobs.set(4 * count, here ? row.temperature() : 0f);
    knobs.set(4 * count + 1, row.topP());
    knobs.set(4 * count + 2, row.minP());
    draws.set(
        count,
        row.temperature() > 0f ? Noise.uniform(row.seed(), row.choice(), row.position()) : 0);
    count++;
    wants.set(StepLayout.N, count);
  }

  /** Whether a row asks for what the host does with its logits. */
  static boolean onHost(SamplingRow row) {
    return row.numLogprobs() > 0
        || row.processed()
        || row.penalties() != null
        || row.logitBias() != null
        || row.forbidden() != null
        || row.allowed() != null;
  }
}
