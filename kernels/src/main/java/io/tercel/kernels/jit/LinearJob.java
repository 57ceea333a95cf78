package io.tercel.kernels.jit;

import io.tercel.kernels.format.PackedMatrix;
import io.tercel.kernels.format.QuantFormat.Dense;
import io.tercel.kernels.format.QuantFormat.Grouped;
import io.tercel.kernels.format.QuantFormat.PerRow;
import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.memory.Linear;
import io.tercel.kernels.memory.Projection;
import io.tercel.kernels.ops.PreparedInput;
import io.tercel.kernels.vector.WorkerPool;
import java.lang.foreign.Arena;
import java.lang.ref.Reference;
import java.util.Arrays;
import java.util.List;

/**
 * The linear layers of a projection as one job on machine code: tiles of 16 rows, numbered through
 * all of them. One job runs at a time.
 */
final class LinearJob {
  /** Weights of a claim: much of a prefetcher's stream, little of a second-level cache. */
  private static final int CLAIM_BYTES = 256 * 1024;

  /** Of 16-bit ones, whose first rows nobody asked for ahead: they should be few of a claim's. */
  private static final int DENSE_CLAIM_BYTES = 1024 * 1024;

  /** Claims are multiples of the streams there are. */
  private static final int CLAIM_MULTIPLE = 4;

  private final WorkerPool pool;
  private final LinearRows[] workers;
  private final DenseInput dense = new DenseInput();
  private int[] firstTile = new int[8];

  /**
   * @param arena outlives the last job
   */
  LinearJob(WorkerPool pool, LinearKernels kernels, Arena arena) {
    this.pool = pool;
    this.workers = new LinearRows[pool.size()];
    Arrays.setAll(workers, i -> new LinearRows(kernels, new LinearCall(arena)));
  }

  /** Whether all layers of a projection have kernels. */
  static boolean handles(Projection projection) {
    for (Linear linear : projection.linears()) {
      if (!handles(linear.weight())) {
        return false;
      }
    }
    return true;
  }

  private static boolean handles(PackedMatrix w) {
    return !(w.format() instanceof Dense dense)
        || dense != Dense.FP32 && w.cols() % DenseCode.COLUMNS == 0;
  }

  /** As {@code Ops.linear}, for a projection that it handles. */
  void run(Projection projection, PreparedInput x, float[][] outs) {
    List<Linear> layers = projection.linears();
    if (layers.getFirst().weight().format() instanceof Dense) {
      dense.fill(x, pool);
    }
    int tiles = number(layers);
    pool.run(
        tiles,
        claim(tiles, layers),
        (from, to, worker) -> tiles(layers, x, outs, from, to, workers[worker]));
    Reference.reachabilityFence(layers); // their memory was used by address
    Reference.reachabilityFence(x);
  }

  /** Numbers the tiles of all layers through; returns how many there are. */
  private int number(List<Linear> layers) {
    if (firstTile.length <= layers.size()) {
      firstTile = Arrays.copyOf(firstTile, layers.size() + 1);
    }
    int tiles = 0;
    for (int i = 0; i < layers.size(); i++) {
      firstTile[i] = tiles;
      tiles += W3Block.tiles(layers.get(i).weight().rows());
    }
    firstTile[layers.size()] = tiles;
    return tiles;
  }

  /** Tiles of a claim: all threads get equally many claims, of about as many bytes each. */
  private int claim(int tiles, List<Linear> layers) {
    long bytes = 0;
    for (Linear layer : layers) {
      bytes += layer.weight().segment().byteSize();
    }
    boolean dense = layers.getFirst().weight().format() instanceof Dense;
    long each = dense ? DENSE_CLAIM_BYTES : CLAIM_BYTES;
    long claims = Math.ceilDiv(bytes, each * pool.size()) * pool.size();
    int claim = (int) Math.ceilDiv(tiles, claims);
    return Math.ceilDiv(claim, CLAIM_MULTIPLE) * CLAIM_MULTIPLE;
  }

  private void tiles(
      List<Linear> layers, PreparedInput x, float[][] outs, int from, int to, LinearRows worker) {
    for (int i = 0; i < layers.size(); i++) {
      int first = Math.max(from, firstTile[i]) - firstTile[i];
      int last = Math.min(to, firstTile[i + 1]) - firstTile[i];
      if (first < last) {
        Linear layer = layers.get(i);
        switch (layer.weight().format()) {
          case Grouped _, PerRow _ -> worker.integers(layer, x, outs[i], first, last);
          case Dense format -> worker.dense(layer, format, dense, x, outs[i], first, last);
        }
      }
    }
  }
}
