package io.tercel.kernels.jit;

import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.memory.KvType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;

/** {@link GuardedKernels}' part for attention: any bytes as keys, values, scales and queries. */
final class GuardedAttention {
  private static final long ROW = 256L * Float.BYTES;

  private final AttentionCall call;
  private final MemorySegment table;
  private final Random random;
  private final boolean end;
  private final int heads;
  private final int perHead;

  private GuardedAttention(Arena arena, int queries, Random random) {
    this.call = new AttentionCall(arena);
    this.table = arena.allocate(16 * 8, 64);
    this.random = random;
    this.end = random.nextBoolean();
    this.heads = 1 + random.nextInt(3);
    this.perHead = queries + random.nextInt(3);
  }

  /** How many calls it made. */
  static int run(LinearKernels kernels, Arena arena, Random random) throws Throwable {
    int calls = 0;
    for (KvType type : KvType.values()) {
      for (int queries = 1; queries <= ScoreCode.QUERIES; queries++, calls += 3) {
        new GuardedAttention(arena, queries, random).scores(kernels, type, queries);
        new GuardedAttention(arena, queries, random).values(kernels, type, queries);
        new GuardedAttention(arena, queries, random).softmax(kernels, type);
      }
    }
    return calls;
  }

  private void scores(LinearKernels kernels, KvType type, int queries) throws Throwable {
    int blocks = ScoreCode.blocks(queries);
    int steps = 1 + random.nextInt(5);
    int gap = random.nextInt(3) * 64; // of scales
    long codes = (long) steps * ScoreCode.stepBytes(type);
    long head = codes + gap;
    long dims = (long) steps * KvLayout.WORD_DIMS * Float.BYTES;
    long inputs = (heads * queries - 1L) * ScoreCode.QUERY_BYTES + dims;
    long outputs =
        (heads - 1L) * perHead * ROW + (queries - 1) * ROW + blocks * KvLayout.BLOCK_SIZE * 4L;
    try (GuardedMemory keys = memory(blocks * heads * head - gap);
        GuardedMemory in = memory(inputs);
        GuardedMemory out = memory(outputs)) {
      for (int b = 0; b < blocks; b++) {
        put(b, keys, b * heads * head);
      }
      call.point(AttentionCall.BLOCKS, table, 0, blocks * 8L);
      call.set(AttentionCall.HEADS, heads);
      call.set(AttentionCall.HEAD_STRIDE, gap);
      call.set(AttentionCall.STEPS, steps);
      call.set(AttentionCall.OUTPUT_STRIDE, perHead * ROW);
      call.set(AttentionCall.INPUT_STRIDE, (long) queries * ScoreCode.QUERY_BYTES - dims);
      call.point(AttentionCall.INPUTS, in.segment(), 0, inputs);
      call.point(AttentionCall.OUTPUTS, out.segment(), 0, outputs);
      kernels.scores(type, queries).run(call);
    }
  }

  private void values(LinearKernels kernels, KvType type, int queries) throws Throwable {
    int blocks = 1 + random.nextInt(4);
    int chunks = 1 + random.nextInt(3);
    int steps = 1 + random.nextInt(16 / ValueCode.rowTokens(type));
    long row = (long) chunks * ValueCode.chunkBytes(type);
    long head = steps * row + random.nextInt(2) * 64L;
    long tokens = (blocks - 1) * 16L + 16; // weights advance by rows, never further than blocks
    long inputs =
        (heads - 1L) * perHead * ROW
            + (queries - 1) * ROW
            + Math.min(tokens, (long) blocks * steps * ValueCode.rowTokens(type)) * Float.BYTES;
    long outputs = (long) heads * chunks * queries * KvLayout.CHUNK_DIMS * Float.BYTES;
    try (GuardedMemory values = memory((blocks * heads - 1) * head + steps * row);
        GuardedMemory in = memory(inputs);
        GuardedMemory out = memory(outputs)) {
      for (int b = 0; b < blocks; b++) {
        put(b, values, b * heads * head);
      }
      call.point(AttentionCall.BLOCKS, table, 0, blocks * 8L);
      call.set(AttentionCall.COUNT, blocks);
      call.set(AttentionCall.HEADS, heads);
      call.set(AttentionCall.HEAD_STRIDE, head);
      call.set(AttentionCall.STEPS, steps);
      call.set(AttentionCall.ROW_STRIDE, row);
      call.set(AttentionCall.CHUNKS, chunks);
      call.set(AttentionCall.INPUT_STRIDE, perHead * ROW);
      call.point(AttentionCall.INPUTS, in.segment(), 0, inputs);
      call.point(AttentionCall.OUTPUTS, out.segment(), 0, outputs);
      kernels.values(type, queries).run(call);
    }
  }

  private void softmax(LinearKernels kernels, KvType type) throws Throwable {
    int blocks = 1 + random.nextInt(16);
    long rows = (perHead - 1) * ROW + blocks * 64L;
    long slots = (perHead - 1L) * SoftmaxCode.FACTS_BYTES + SoftmaxCode.ZEROS + Float.BYTES;
    try (GuardedMemory meta = memory(blocks * 64L);
        GuardedMemory constants = memory(64);
        GuardedMemory facts = memory(slots);
        GuardedMemory out = memory(rows)) {
      for (int b = 0; b < blocks; b++) {
        put(b, meta, b * 64L);
      }
      call.point(AttentionCall.BLOCKS, table, 0, blocks * 8L);
      call.point(AttentionCall.VALUE_BLOCKS, table, 0, blocks * 8L);
      call.set(AttentionCall.COUNT, blocks);
      call.set(AttentionCall.SLOTS, perHead);
      call.set(AttentionCall.SCALE, 0.125f);
      call.point(AttentionCall.CONSTANTS, constants.segment(), 0, 64);
      call.point(AttentionCall.FACTS, facts.segment(), 0, slots);
      call.point(AttentionCall.OUTPUTS, out.segment(), 0, rows);
      kernels.softmax(type).run(call);
    }
  }

  private GuardedMemory memory(long bytes) throws Throwable {
    GuardedMemory memory = new GuardedMemory(bytes, end);
    byte[] any = new byte[(int) bytes];
    random.nextBytes(any);
    MemorySegment.copy(any, 0, memory.segment(), ValueLayout.JAVA_BYTE, 0, any.length);
    return memory;
  }

  private void put(int block, GuardedMemory memory, long offset) {
    table.setAtIndex(ValueLayout.JAVA_LONG, block, memory.segment().address() + offset);
  }
}
