package io.tercel.kernels.vector;

import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.format.QuantFormat.Grouped;
import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.memory.Linear;
import java.util.Arrays;
import java.util.List;

/**
 * Several linear layers over one input: the input is prepared once for each format and order among
 * them, then all their outputs are one job of tiles of 16 rows. One token takes the GEMV, more take
 * the GEMM; the results are the same.
 */
final class LinearLoop {
  /** Tiles that a GEMM takes at once; claims are multiples of it. */
  private static final int CLAIM_MULTIPLE = 4;

  /** Claims of each thread in a job, so that one that lost its core for a while is helped out. */
  private static final int CLAIMS_PER_THREAD = 8;

  private final WorkerPool pool;
  private final KernelScratch[] scratch;
  private Activations[] inputs = new Activations[0];
  private int[] firstTile = new int[8];

  LinearLoop(WorkerPool pool) {
    this.pool = pool;
    this.scratch = new KernelScratch[pool.size()];
    Arrays.setAll(scratch, i -> new KernelScratch());
  }

  void multiply(List<Linear> group, float[] x, int n, float[][] outs) {
    int tiles = layOut(group, x, n);
    int claim = Math.ceilDiv(tiles, pool.size() * CLAIMS_PER_THREAD);
    claim = Math.ceilDiv(claim, CLAIM_MULTIPLE) * CLAIM_MULTIPLE;
    pool.run(tiles, claim, (from, to, worker) -> tiles(group, n, outs, from, to, scratch[worker]));
  }

  /**
   * Prepares the inputs and numbers the tiles of all layers through; returns how many there are.
   */
  private int layOut(List<Linear> group, float[] x, int n) {
    if (inputs.length < group.size()) {
      inputs = new Activations[group.size()];
      Arrays.setAll(inputs, i -> new Activations());
      firstTile = new int[group.size() + 1];
    }
    int tiles = 0;
    for (int i = 0; i < group.size(); i++) {
      PackedMatrix w = group.get(i).weight();
      firstTile[i] = tiles;
      tiles += W3Block.tiles(w.rows());
      if (preparedBefore(group, i) == i) {
        prepare(w, inputs[i], x, n);
      }
    }
    firstTile[group.size()] = tiles;
    return tiles;
  }

  /** The first layer whose prepared input serves this one too; itself when there is none. */
  private static int preparedBefore(List<Linear> group, int i) {
    PackedMatrix w = group.get(i).weight();
    for (int j = 0; j < i; j++) {
      PackedMatrix other = group.get(j).weight();
      if (other.format() == w.format() && Arrays.equals(other.inputOrder(), w.inputOrder())) {
        return j;
      }
    }
    return i;
  }

  private static void prepare(PackedMatrix w, Activations into, float[] x, int n) {
    switch (w.format()) {
      case Grouped.W3G128 -> into.prepareGrouped(x, 0, w.cols(), n, w.cols(), w.inputOrder());
      case Dense dense -> DenseGemm.prepare(dense, into, x, 0, w.cols(), n, w.cols());
    }
  }

  private void tiles(List<Linear> group, int n, float[][] outs, int from, int to, KernelScratch s) {
    for (int i = 0; i < group.size(); i++) {
      int first = Math.max(from, firstTile[i]) - firstTile[i];
      int last = Math.min(to, firstTile[i + 1]) - firstTile[i];
      if (first < last) {
        Activations x = inputs[preparedBefore(group, i)];
        one(group.get(i), x, n, outs[i], first, last, s);
      }
    }
  }

  private static void one(
      Linear layer, Activations x, int n, float[] out, int from, int to, KernelScratch s) {
    PackedMatrix w = layer.weight();
    int rows = w.rows();
    switch (w.format()) {
      case Grouped.W3G128 -> {
        if (n == 1) {
          W3Gemv.multiply(w.segment(), 0, rows, from, to, x, 0, layer.bias(), out, 0, s);
        } else {
          W3Gemm.multiply(w.segment(), 0, rows, from, to, x, 0, n, layer.bias(), out, 0, rows, s);
        }
      }
      case Dense dense -> {
        int rowFrom = from * W3Block.ROWS;
        int rowTo = Math.min(rows, to * W3Block.ROWS);
        if (n == 1) {
          DenseGemv.multiply(dense, w.segment(), 0, rowFrom, rowTo, x, 0, layer.bias(), out, 0, s);
        } else {
          DenseGemm.multiply(
              dense, w.segment(), 0, rowFrom, rowTo, x, 0, n, layer.bias(), out, 0, rows, s);
        }
      }
    }
  }
}
