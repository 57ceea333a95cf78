package io.tercel.kernels.vector;

import io.tercel.kernels.format.W3Block;
import io.tercel.kernels.memory.Linear;
import io.tercel.kernels.memory.Projection;
import io.tercel.kernels.ops.PreparedInput;
import java.util.Arrays;
import java.util.List;

/**
 * The linear layers of a projection as one job: tiles of 16 rows, numbered through all of them. One
 * token takes a GEMV, more take a GEMM; the results are the same.
 */
final class LinearLoop {
  /** Tiles that a GEMM takes at once; claims are multiples of it. */
  private static final int CLAIM_MULTIPLE = 4;

  /** Claims of each thread in a job, so that one that lost its core for a while is helped out. */
  private static final int CLAIMS_PER_THREAD = 8;

  private final WorkerPool pool;
  private final KernelScratch[] scratch;
  private int[] firstTile = new int[8];

  LinearLoop(WorkerPool pool, KernelScratch[] scratch) {
    this.pool = pool;
    this.scratch = scratch;
  }

  void multiply(Projection projection, PreparedInput x, float[][] outs) {
    int tiles = number(projection.linears());
    int claim = Math.ceilDiv(tiles, pool.size() * CLAIMS_PER_THREAD);
    claim = Math.ceilDiv(claim, CLAIM_MULTIPLE) * CLAIM_MULTIPLE;
    pool.run(
        tiles,
        claim,
        (from, to, worker) -> run(projection.linears(), x, outs, from, to, scratch[worker]));
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

  private void run(
      List<Linear> layers, PreparedInput x, float[][] outs, int from, int to, KernelScratch s) {
    for (int i = 0; i < layers.size(); i++) {
      int first = Math.max(from, firstTile[i]) - firstTile[i];
      int last = Math.min(to, firstTile[i + 1]) - firstTile[i];
      if (first < last) {
        Linear layer = layers.get(i);
        LinearKernel.of(layer.weight().format()).multiply(layer, x, outs[i], first, last, s);
      }
    }
  }
}
