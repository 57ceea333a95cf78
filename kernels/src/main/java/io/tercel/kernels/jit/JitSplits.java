package io.tercel.kernels.jit;

import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvType;
import io.tercel.kernels.ops.Attention;
import io.tercel.kernels.vector.SplitKernel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.ref.Reference;

/**
 * A split by {@link ScoreCode}, {@link SoftmaxCode} and {@link ValueCode}; one worker's. A few
 * blocks are walked together, and within them head by head, which is the order of the bytes;
 * queries of a head go up to six at a time, as evenly as they divide.
 */
final class JitSplits implements SplitKernel {
  /** Blocks of values that a call takes. */
  private static final int UNIT = 4;

  private static final int SPLIT_BYTES = Attention.SPLIT * Float.BYTES;
  private static final int CHUNK_BYTES = KvLayout.CHUNK_DIMS * Float.BYTES;

  private final LinearKernels kernels;
  private final AttentionCall call;

  /** Addresses of a call's blocks. */
  private final MemorySegment table;

  /** Addresses of the scales and zeros of a head. */
  private final MemorySegment keyMeta;

  private final MemorySegment valueMeta;

  /** The ints 0 to 15. */
  private final MemorySegment indices;

  private MemorySegment facts = MemorySegment.NULL; // of all slots
  private MemorySegment rows = MemorySegment.NULL; // [slot][256], of scores or of weights
  private MemorySegment operands = MemorySegment.NULL; // of some queries, all heads

  /**
   * @param arena outlives the last call
   */
  JitSplits(LinearKernels kernels, Arena arena) {
    this.kernels = kernels;
    this.call = new AttentionCall(arena);
    this.table = table(arena);
    this.keyMeta = table(arena);
    this.valueMeta = table(arena);
    this.indices = arena.allocate(Codes.VECTOR, Codes.VECTOR);
    for (int i = 0; i < Codes.ROWS; i++) {
      indices.setAtIndex(ValueLayout.JAVA_INT, i, i);
    }
  }

  private static MemorySegment table(Arena arena) {
    return arena.allocate((long) Attention.SPLIT_BLOCKS * Long.BYTES, Codes.VECTOR);
  }

  @Override
  public boolean handles(KvLayout layout) {
    return layout.headDim() % KvLayout.WORD_DIMS == 0
        && layout.headDim() <= ScoreCode.DIMS
        && (layout.type() == KvType.INT4 || layout.headDim() % KvLayout.CHUNK_DIMS == 0);
  }

  @Override
  public void attend(
      KvLayout layout,
      Slots slots,
      long[] keys,
      long[] values,
      int blocks,
      float[] q,
      float[] querySums,
      float[] max,
      float[] sum,
      float[] outs,
      int stride) {
    int count = slots.heads() * slots.perHead();
    rows = reserve(rows, (long) count * SPLIT_BYTES);
    facts = reserve(facts, (long) count * SoftmaxCode.FACTS_BYTES);
    scores(layout, slots, keys, blocks, q);
    softmax(layout, slots, keys, values, blocks, querySums);
    values(layout, slots, values, blocks, outs, stride);
    for (int slot = 0; slot < count; slot++) {
      max[slot] = fact(slot, SoftmaxCode.LARGEST);
      sum[slot] = fact(slot, SoftmaxCode.SUM);
    }
    Reference.reachabilityFence(this);
  }

  private float fact(int slot, int which) {
    return facts.get(ValueLayout.JAVA_FLOAT, (long) slot * SoftmaxCode.FACTS_BYTES + which);
  }

  private void scores(KvLayout layout, Slots slots, long[] keys, int blocks, float[] q) {
    long first = slots.firstHead() * layout.keyBytes();
    for (int b = 0; b < Attention.SPLIT_BLOCKS; b++) { // the last one again where a unit isn't full
      table.setAtIndex(ValueLayout.JAVA_LONG, b, keys[Math.min(b, blocks - 1)] + first);
    }
    int groups = Math.ceilDiv(slots.perHead(), ScoreCode.QUERIES);
    for (int group = 0; group < groups; group++) {
      int from = group * slots.perHead() / groups;
      int queries = (group + 1) * slots.perHead() / groups - from;
      gather(layout, slots, from, queries, q);
      scores(layout, slots, from, queries, blocks);
    }
  }

  /** Some queries of all heads. */
  private void gather(KvLayout layout, Slots slots, int from, int queries, float[] q) {
    int headDim = layout.headDim();
    long bytes = (long) slots.heads() * queries * ScoreCode.QUERY_BYTES;
    operands = reserve(operands, bytes);
    for (int head = 0; head < slots.heads(); head++) {
      for (int i = 0; i < queries; i++) {
        int at = slots.queryAt(head * slots.perHead() + from + i);
        long to = ((long) head * queries + i) * ScoreCode.QUERY_BYTES;
        MemorySegment.copy(q, at, operands, ValueLayout.JAVA_FLOAT, to, headDim);
      }
    }
    call.point(AttentionCall.INPUTS, operands, 0, bytes);
    long read = (long) headDim * Float.BYTES;
    call.set(AttentionCall.INPUT_STRIDE, (long) queries * ScoreCode.QUERY_BYTES - read);
  }

  private void scores(KvLayout layout, Slots slots, int from, int queries, int blocks) {
    int unit = ScoreCode.blocks(queries);
    int steps = layout.headDim() / KvLayout.WORD_DIMS;
    long codes = (long) steps * ScoreCode.stepBytes(layout.type());
    long headStride = (long) slots.perHead() * SPLIT_BYTES;
    call.set(AttentionCall.HEADS, slots.heads());
    call.set(AttentionCall.STEPS, steps);
    call.set(AttentionCall.HEAD_STRIDE, layout.keyBytes() - codes);
    call.set(AttentionCall.OUTPUT_STRIDE, headStride);
    Kernel kernel = kernels.scores(layout.type(), queries);
    for (int b = 0; b < blocks; b += unit) {
      call.point(AttentionCall.BLOCKS, table, (long) b * Long.BYTES, (long) unit * Long.BYTES);
      long at = (long) from * SPLIT_BYTES + (long) b * KvLayout.BLOCK_SIZE * Float.BYTES;
      long last = (slots.heads() - 1) * headStride + (queries - 1L) * SPLIT_BYTES;
      long written = last + (long) unit * KvLayout.BLOCK_SIZE * Float.BYTES;
      call.point(AttentionCall.OUTPUTS, rows, at, written);
      kernel.run(call);
    }
  }

  private void softmax(
      KvLayout layout, Slots slots, long[] keys, long[] values, int blocks, float[] querySums) {
    int count = slots.heads() * slots.perHead();
    boolean codes = layout.type() == KvType.INT4;
    for (int slot = 0; slot < count; slot++) {
      long at = (long) slot * SoftmaxCode.FACTS_BYTES;
      float querySum = codes ? querySums[slots.queryAt(slot) / layout.headDim()] : 0f;
      facts.set(ValueLayout.JAVA_INT, at + SoftmaxCode.LIMIT, slots.limit(slot));
      facts.set(ValueLayout.JAVA_FLOAT, at + SoftmaxCode.QUERY_SUM, querySum);
    }
    long bytes = (long) blocks * Long.BYTES;
    call.point(AttentionCall.BLOCKS, keyMeta, 0, bytes);
    call.point(AttentionCall.VALUE_BLOCKS, valueMeta, 0, bytes);
    call.point(AttentionCall.CONSTANTS, indices, 0, Codes.VECTOR);
    call.set(AttentionCall.COUNT, blocks);
    call.set(AttentionCall.SLOTS, slots.perHead());
    call.set(AttentionCall.SCALE, Attention.scale(layout.headDim()));
    for (int h = 0; h < slots.heads(); h++) {
      int head = slots.firstHead() + h;
      long key = codes ? head * layout.keyBytes() + layout.keyCodeBytes() : 0;
      long value = codes ? head * layout.valueBytes() + layout.valueCodeBytes() : 0;
      for (int b = 0; b < blocks; b++) {
        keyMeta.setAtIndex(ValueLayout.JAVA_LONG, b, keys[b] + key);
        valueMeta.setAtIndex(ValueLayout.JAVA_LONG, b, values[b] + value);
      }
      long slot = (long) h * slots.perHead();
      long facts = slots.perHead() * (long) SoftmaxCode.FACTS_BYTES;
      long rows = slots.perHead() * (long) SPLIT_BYTES;
      call.point(AttentionCall.OUTPUTS, this.rows, slot * SPLIT_BYTES, rows);
      call.point(AttentionCall.FACTS, this.facts, slot * SoftmaxCode.FACTS_BYTES, facts);
      kernels.softmax(layout.type()).run(call);
    }
  }

  private void values(
      KvLayout layout, Slots slots, long[] values, int blocks, float[] outs, int stride) {
    for (int b = 0; b < blocks; b++) {
      long first = slots.firstHead() * layout.valueBytes();
      table.setAtIndex(ValueLayout.JAVA_LONG, b, values[b] + first);
    }
    int from = 0;
    while (from < slots.perHead()) {
      int end = sameLimit(layout, slots, from);
      int groups = Math.ceilDiv(end - from, ScoreCode.QUERIES);
      int queries = Math.ceilDiv(end - from, groups);
      values(layout, slots, from, queries, outs, stride);
      from += queries;
    }
  }

  /**
   * The end of the queries from one on that see as many tokens. Codes are numbers whatever they
   * are, so weights of 0 do; unseen floats may be NaN, and must not be touched.
   */
  private static int sameLimit(KvLayout layout, Slots slots, int from) {
    int end = from + 1;
    boolean any = layout.type() == KvType.INT4;
    while (end < slots.perHead() && (any || slots.limit(end) == slots.limit(from))) {
      end++;
    }
    return end;
  }

  private void values(
      KvLayout layout, Slots slots, int from, int queries, float[] outs, int stride) {
    KvType type = layout.type();
    int chunks = layout.chunks();
    long bytes = (long) slots.heads() * chunks * queries * CHUNK_BYTES;
    operands = reserve(operands, bytes);
    operands.asSlice(0, bytes).fill((byte) 0);
    long headStride = (long) slots.perHead() * SPLIT_BYTES;
    call.set(AttentionCall.HEADS, slots.heads());
    call.set(AttentionCall.CHUNKS, chunks);
    call.set(AttentionCall.HEAD_STRIDE, layout.valueBytes());
    call.set(AttentionCall.ROW_STRIDE, (long) chunks * ValueCode.chunkBytes(type));
    call.set(AttentionCall.INPUT_STRIDE, headStride);
    call.point(AttentionCall.OUTPUTS, operands, 0, bytes);
    Kernel kernel = kernels.values(type, queries);
    int limit = slots.limit(from + queries - 1);
    int whole = limit / KvLayout.BLOCK_SIZE;
    int rest = limit % KvLayout.BLOCK_SIZE;
    if (type == KvType.INT4 && rest > 0) { // weights behind the limit are 0
      whole++;
      rest = 0;
    }
    for (int b = 0; b < whole; b += UNIT) {
      int count = Math.min(UNIT, whole - b);
      values(kernel, slots, from, b, count, KvLayout.BLOCK_SIZE / ValueCode.rowTokens(type));
    }
    if (rest > 0) {
      values(kernel, slots, from, whole, 1, rest);
    }
    scatter(layout, slots, from, queries, outs, stride);
  }

  private void values(Kernel kernel, Slots slots, int from, int block, int count, int rows) {
    call.point(AttentionCall.BLOCKS, table, (long) block * Long.BYTES, (long) count * Long.BYTES);
    call.set(AttentionCall.COUNT, count);
    call.set(AttentionCall.STEPS, rows);
    long at = (long) from * SPLIT_BYTES + (long) block * KvLayout.BLOCK_SIZE * Float.BYTES;
    long last = ((slots.heads() - 1L) * slots.perHead() + kernel.tokens() - 1) * SPLIT_BYTES;
    long read = last + (long) count * KvLayout.BLOCK_SIZE * Float.BYTES;
    call.point(AttentionCall.INPUTS, this.rows, at, read);
    kernel.run(call);
    Reference.reachabilityFence(this);
  }

  /** The sums to where they belong, less what zero points add to each. */
  private void scatter(
      KvLayout layout, Slots slots, int from, int queries, float[] outs, int stride) {
    boolean codes = layout.type() == KvType.INT4;
    long at = 0;
    for (int head = 0; head < slots.heads(); head++) {
      for (int c = 0; c < layout.chunks(); c++) {
        for (int i = 0; i < queries; i++) {
          int slot = head * slots.perHead() + from + i;
          int to = slot * stride + c * KvLayout.CHUNK_DIMS;
          MemorySegment.copy(operands, ValueLayout.JAVA_FLOAT, at, outs, to, KvLayout.CHUNK_DIMS);
          if (codes) {
            float zeros = fact(slot, SoftmaxCode.ZEROS);
            for (int d = to; d < to + KvLayout.CHUNK_DIMS; d++) {
              outs[d] -= zeros;
            }
          }
          at += CHUNK_BYTES;
        }
      }
    }
  }

  /** The segment, or a larger one; freed with this object. */
  private static MemorySegment reserve(MemorySegment segment, long bytes) {
    return segment.byteSize() >= bytes
        ? segment
        : Arena.ofAuto().allocate(Math.max(bytes, 2 * segment.byteSize()), Codes.VECTOR);
  }
}
