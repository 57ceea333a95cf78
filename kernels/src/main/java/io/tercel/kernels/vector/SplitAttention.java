package io.tercel.kernels.vector;

import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvPool;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.ops.Attention;
import io.tercel.kernels.ops.LaneSum;
import io.tercel.kernels.ops.StepBatch;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * One split of attention for some rows of a sequence and some KV heads: one worker's scratch and
 * how it is used. All queries of a KV head (rows x heads of its group) share what is read of it.
 *
 * <p>The split is walked four blocks at a time, and within them head by head: that is the order of
 * the bytes, and what hardware prefetches ahead is what comes next. Few queries on 4-bit codes take
 * {@link KvInt4}'s loops, which keep unpacked codes in registers; otherwise four blocks of a head
 * are unpacked into floats that stay in the first-level cache, for {@link AttentionLoop}. A {@link
 * SplitKernel}, where there is one for the cache, takes the place of both.
 */
final class SplitAttention implements SplitKernel.Slots {
  /** Blocks walked together. */
  private static final int UNIT = 4;

  private static final int UNIT_TOKENS = UNIT * KvLayout.BLOCK_SIZE;

  /** Queries of a KV head up to which unpacking twice is cheaper than storing. */
  private static final int FUSED_QUERIES = 3;

  private static final int SPLIT = Attention.SPLIT;

  private final @Nullable SplitKernel kernel;
  private final long[] keys = new long[Attention.SPLIT_BLOCKS];
  private final long[] values = new long[Attention.SPLIT_BLOCKS];
  private final float[] lanes = new float[Lanes.VIRTUAL];
  private final float[] evens = new float[4 * UNIT_TOKENS];
  private int[] queryAt = new int[0];
  private int[] limits = new int[0];
  private float[] scores = new float[0];
  private float[] outs = new float[0];
  private float[] max = new float[0];
  private float[] sum = new float[0];
  private MemorySegment unpackedSegment = MemorySegment.NULL; // freed with this object
  private long unpacked;
  private long unpackedBytes;

  private int perHead;
  private int stride;
  private int firstRow;
  private int firstHead;
  private int heads;

  /**
   * @param kernel null where there is none but this package's
   */
  SplitAttention(@Nullable SplitKernel kernel) {
    this.kernel = kernel;
  }

  /** The first row that sees the split; those before it end earlier. */
  int firstRow() {
    return firstRow;
  }

  /** Queries of each KV head: rows from {@link #firstRow} on x heads of a group. */
  @Override
  public int perHead() {
    return perHead;
  }

  @Override
  public int heads() {
    return heads;
  }

  @Override
  public int firstHead() {
    return firstHead;
  }

  @Override
  public int queryAt(int slot) {
    return queryAt[slot];
  }

  @Override
  public int limit(int slot) {
    return limits[slot];
  }

  float max(int slot) {
    return max[slot];
  }

  float sum(int slot) {
    return sum[slot];
  }

  /** Weighted values of all slots, from slot x {@link #stride} on. */
  float[] outs() {
    return outs;
  }

  int stride() {
    return stride;
  }

  /**
   * Computes maximum, sum and weighted values of slots (head - headFrom) x perHead + (row -
   * firstRow) x group + g.
   *
   * @param querySums sum q of all rows and heads; read for 4-bit keys only
   */
  void attend(
      KvPool kv,
      int layer,
      int[] table,
      int split,
      int headFrom,
      int headTo,
      StepBatch batch,
      int rowFrom,
      int rowTo,
      float[] q,
      int heads,
      float[] querySums) {
    KvLayout layout = kv.layout();
    int headDim = layout.headDim();
    int group = heads / layout.numKvHeads();
    int begin = split * SPLIT;
    firstRow = rowFrom;
    while (batch.position(firstRow) < begin) {
      firstRow++;
    }
    perHead = (rowTo - firstRow) * group;
    int slots = perHead * (headTo - headFrom);
    reserve(layout, slots);
    int next = 0;
    for (int head = headFrom; head < headTo; head++) {
      for (int row = firstRow; row < rowTo; row++) {
        int limit = Math.min(SPLIT, batch.position(row) + 1 - begin);
        for (int g = 0; g < group; g++) {
          queryAt[next] = (row * heads + head * group + g) * headDim;
          limits[next++] = limit;
        }
      }
    }
    int tokens = limits[perHead - 1];
    int blocks = Math.ceilDiv(tokens, KvLayout.BLOCK_SIZE);
    locate(kv, layer, table, split, blocks);
    firstHead = headFrom;
    this.heads = headTo - headFrom;
    if (kernel != null && kernel.handles(layout)) {
      kernel.attend(layout, this, keys, values, blocks, q, querySums, max, sum, outs, stride);
    } else {
      scores(layout, blocks, q);
      for (int slot = 0; slot < slots; slot++) {
        softmax(layout, headFrom + slot / perHead, slot, blocks, querySums);
      }
      values(layout, blocks, tokens);
      subtractZeros(layout, slots);
    }
    Reference.reachabilityFence(kv);
    Reference.reachabilityFence(unpackedSegment);
  }

  private void subtractZeros(KvLayout layout, int slots) {
    int headDim = layout.headDim();
    for (int i = 0; i < slots && layout.type() == KvType.INT4; i++) {
      float zeros = outs[i * stride + stride - 1];
      for (int d = i * stride; d < i * stride + headDim; d++) {
        outs[d] -= zeros;
      }
    }
  }

  private boolean fused(KvLayout layout) {
    return layout.type() == KvType.INT4 && perHead <= FUSED_QUERIES;
  }

  private void scores(KvLayout layout, int blocks, float[] q) {
    for (int block = 0; block < blocks; block += UNIT) {
      int end = Math.min(blocks, block + UNIT);
      for (int h = 0; h < heads; h++) {
        if (fused(layout)) {
          fusedScores(layout, firstHead + h, h * perHead, block, end, q);
        } else {
          unpackKeys(layout, firstHead + h, block, end);
          manyScores(layout.headDim(), h * perHead, block, q);
        }
      }
    }
  }

  private void values(KvLayout layout, int blocks, int tokens) {
    for (int block = 0; block < blocks; block += UNIT) {
      int end = Math.min(blocks, block + UNIT);
      for (int h = 0; h < heads; h++) {
        if (fused(layout)) {
          fusedValues(layout, firstHead + h, h * perHead, block, end);
        } else {
          unpackValues(layout, firstHead + h, block, end, tokens);
          manyValues(layout, h * perHead, block);
        }
      }
    }
  }

  private void reserve(KvLayout layout, int slots) {
    // one row of 16 more than the dims: its last float carries the zero points' share
    stride = layout.chunks() * KvLayout.CHUNK_DIMS + Lanes.VIRTUAL;
    if (scores.length < slots * SPLIT || outs.length < slots * stride) {
      queryAt = new int[slots];
      limits = new int[slots];
      max = new float[slots];
      sum = new float[slots];
      scores = new float[slots * SPLIT];
      outs = new float[slots * stride];
    }
    Arrays.fill(outs, 0, slots * stride, 0f);
    long bytes = (long) UNIT_TOKENS * layout.chunks() * KvLayout.CHUNK_DIMS * Float.BYTES;
    if (unpackedBytes < bytes) {
      unpackedSegment = Arena.ofAuto().allocate(bytes, 64);
      unpacked = unpackedSegment.address();
      unpackedBytes = bytes;
    }
  }

  /** Addresses of K and V of head 0 in each block. */
  private void locate(KvPool kv, int layer, int[] table, int split, int blocks) {
    long bytes = kv.layout().layerBlockBytes();
    long values0 = kv.valueOffset(0, 0, 0);
    for (int b = 0; b < blocks; b++) {
      int block = table[split * Attention.SPLIT_BLOCKS + b];
      keys[b] = OffHeap.address(kv.segment(), kv.keyOffset(layer, block, 0), bytes);
      values[b] = keys[b] + values0;
    }
  }

  private void fusedScores(KvLayout layout, int head, int slot, int from, int to, float[] q) {
    long offset = head * layout.keyBytes();
    for (int b = from; b < to; b += 2) {
      long key0 = keys[b] + offset;
      long key1 = keys[Math.min(b + 1, to - 1)] + offset; // an odd last block beside itself
      int t = b * KvLayout.BLOCK_SIZE;
      for (int i = slot; i < slot + perHead; i += 2) {
        int j = Math.min(i + 1, slot + perHead - 1);
        KvInt4.scores(
            key0,
            key1,
            layout.headDim(),
            q,
            queryAt[i],
            queryAt[j],
            scores,
            i * SPLIT + t,
            j * SPLIT + t);
      }
    }
  }

  private void fusedValues(KvLayout layout, int head, int slot, int from, int to) {
    long offset = head * layout.valueBytes();
    long pairStride = layout.chunks() * (long) KvLayout.ROW_BYTES;
    int t = from * KvLayout.BLOCK_SIZE;
    for (int c = 0; c < layout.chunks(); c++) {
      int d = c * KvLayout.CHUNK_DIMS;
      for (int i = slot; i < slot + perHead; i += 2) {
        int j = Math.min(i + 1, slot + perHead - 1);
        KvInt4.values(
            values,
            from,
            to,
            offset + c * (long) KvLayout.ROW_BYTES,
            pairStride,
            scores,
            i * SPLIT + t,
            j * SPLIT + t,
            outs,
            i * stride + d,
            j * stride + d);
      }
    }
  }

  private void unpackKeys(KvLayout layout, int head, int from, int to) {
    int headDim = layout.headDim();
    int perBlock = headDim * KvLayout.BLOCK_SIZE;
    for (int b = from; b < to; b++) {
      long key = keys[b] + head * layout.keyBytes();
      long out = unpacked + (b - from) * (long) perBlock * Float.BYTES;
      if (layout.type() == KvType.INT4) {
        KvInt4.unpackKeys(key, headDim, out);
      } else {
        KvUnpack.unpack(layout.type(), key, perBlock, out);
      }
    }
  }

  private void manyScores(int headDim, int slot, int block, float[] q) {
    int t = block * KvLayout.BLOCK_SIZE;
    int last = slot + perHead - 1;
    for (int i = slot; i <= last; i += 4) {
      int j = Math.min(i + 1, last);
      int k = Math.min(i + 2, last);
      int l = Math.min(i + 3, last);
      AttentionLoop.scores(
          unpacked,
          headDim,
          q,
          queryAt[i],
          queryAt[j],
          queryAt[k],
          queryAt[l],
          scores,
          i * SPLIT + t,
          j * SPLIT + t,
          k * SPLIT + t,
          l * SPLIT + t,
          evens);
    }
  }

  /** Dots become weights; tokens that the query does not see get the weight 0. */
  private void softmax(KvLayout layout, int head, int slot, int blocks, float[] querySums) {
    int headDim = layout.headDim();
    int at = slot * SPLIT;
    int count = blocks * KvLayout.BLOCK_SIZE;
    float scale = Attention.scale(headDim);
    boolean int4 = layout.type() == KvType.INT4;
    if (int4) {
      long meta = head * layout.keyBytes() + layout.keyCodeBytes();
      float querySum = querySums[queryAt[slot] / headDim];
      for (int b = 0; b < blocks; b++) {
        KvInt4.scale(keys[b] + meta, querySum, scale, scores, at + b * KvLayout.BLOCK_SIZE);
      }
    } else {
      AttentionLoop.scale(scores, at, count, scale);
    }
    Arrays.fill(scores, at + limits[slot], at + count, Float.NEGATIVE_INFINITY);
    max[slot] = AttentionLoop.max(scores, at, count, lanes);
    sum[slot] = AttentionLoop.exponentials(scores, at, count, max[slot], lanes);
    if (int4) {
      long meta = head * layout.valueBytes() + layout.valueCodeBytes();
      Arrays.fill(lanes, 0f);
      for (int b = 0; b < blocks; b++) {
        int first = b * KvLayout.BLOCK_SIZE;
        int seen = Math.max(0, limits[slot] - first);
        KvInt4.weights(values[b] + meta, scores, at + first, lanes, seen);
      }
      outs[slot * stride + stride - 1] = LaneSum.tree(lanes, 0);
    }
  }

  private void unpackValues(KvLayout layout, int head, int from, int to, int tokens) {
    int headDim = layout.headDim();
    long row = layout.chunks() * (long) KvLayout.CHUNK_DIMS * Float.BYTES;
    for (int b = from; b < to; b++) {
      long value = values[b] + head * layout.valueBytes();
      long out = unpacked + (b - from) * KvLayout.BLOCK_SIZE * row;
      if (layout.type() == KvType.INT4) {
        for (int c = 0; c < layout.chunks(); c++) {
          KvInt4.unpackValues(
              value + c * (long) KvLayout.ROW_BYTES,
              layout.chunks() * (long) KvLayout.ROW_BYTES,
              out + c * (long) KvLayout.CHUNK_DIMS * Float.BYTES,
              row);
        }
      } else if (row == headDim * (long) Float.BYTES) {
        KvUnpack.unpack(layout.type(), value, KvLayout.BLOCK_SIZE * headDim, out);
      } else {
        int used = Math.min(KvLayout.BLOCK_SIZE, tokens - b * KvLayout.BLOCK_SIZE);
        for (int t = 0; t < used; t++) {
          long from0 = value + (long) t * headDim * layout.type().bits() / Byte.SIZE;
          KvUnpack.unpack(layout.type(), from0, headDim, out + t * row);
        }
      }
    }
  }

  private void manyValues(KvLayout layout, int slot, int block) {
    int first = block * KvLayout.BLOCK_SIZE;
    int end = slot + perHead;
    long row = layout.chunks() * (long) KvLayout.CHUNK_DIMS * Float.BYTES;
    for (int i = slot; i < end; i += 4) {
      int j = Math.min(i + 1, end - 1);
      int k = Math.min(i + 2, end - 1);
      int l = Math.min(i + 3, end - 1);
      // limits ascend within a head
      int together = Math.clamp(limits[i] - first, 0, UNIT_TOKENS);
      for (int c = 0; c < layout.chunks(); c++) {
        int d = c * KvLayout.CHUNK_DIMS;
        long chunk = unpacked + d * (long) Float.BYTES;
        AttentionLoop.values(
            chunk,
            row,
            together,
            scores,
            i * SPLIT + first,
            j * SPLIT + first,
            k * SPLIT + first,
            l * SPLIT + first,
            outs,
            i * stride + d,
            j * stride + d,
            k * stride + d,
            l * stride + d);
        for (int s = i + 1; s <= l; s++) {
          int more = Math.clamp(limits[s] - first, 0, UNIT_TOKENS) - together;
          if (more > 0) {
            AttentionLoop.values(
                chunk + together * row,
                row,
                more,
                scores,
                s * SPLIT + first + together,
                outs,
                s * stride + d);
          }
        }
      }
    }
  }
}
