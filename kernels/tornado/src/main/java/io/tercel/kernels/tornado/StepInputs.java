package io.tercel.kernels.tornado;

import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.ops.Attention;
import io.tercel.kernels.ops.RopeTable;
import io.tercel.kernels.ops.StepBatch;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * What a pass sends to the device: ids, positions, block tables and slots as {@link StepLayout}
 * lays them out, and the rotations of its rows. Filled anew for each pass; nothing is allocated.
 */
final class StepInputs {
  private final StepLayout layout;
  private final int headDim;
  private final IntArray ints;
  private final FloatArray rope;
  private final RopeTable table;
  private final StepBatch rows = new StepBatch();
  private int slots;
  private int tableInts;

  StepInputs(StepLayout layout, int headDim, double ropeTheta) {
    this.layout = layout;
    this.headDim = headDim;
    this.ints = new IntArray(layout.size());
    this.ints.init(0);
    this.rope = new FloatArray(layout.rows() * headDim);
    this.rope.init(0f);
    this.table = new RopeTable(headDim, ropeTheta);
  }

  StepLayout layout() {
    return layout;
  }

  IntArray ints() {
    return ints;
  }

  /** [rows][headDim]: cosines, then sines. */
  FloatArray rope() {
    return rope;
  }

  void begin() {
    rows.clear();
    slots = 0;
    tableInts = 0;
  }

  /** How many rows of a sequence, from {@code from} to at most {@code to}, still fit. */
  int fitting(StepBatch batch, int sequence, int from, int to) {
    int blocks = batch.position(batch.queryStart(sequence + 1) - 1) / KvLayout.BLOCK_SIZE + 1;
    int spare = layout.slots() - slots;
    int count = 0;
    while (from + count < to
        && rows.numTokens() + count < layout.rows()
        && tableInts + blocks <= layout.tableInts()) {
      spare -= Attention.splits(batch.position(from + count) + 1);
      if (spare < 0) {
        break;
      }
      count++;
    }
    return count;
  }

  /** Adds rows [from, to) of a sequence of the step. */
  void add(StepBatch batch, int sequence, int from, int to) {
    int[] blocks = batch.blockTable(sequence);
    int length = batch.position(to - 1) / KvLayout.BLOCK_SIZE + 1;
    int tables = StepLayout.tables(layout.rows(), layout.slots());
    MemorySegment.copy(
        blocks,
        0,
        ints.getSegment(),
        ValueLayout.JAVA_INT_UNALIGNED,
        4L * (tables + tableInts),
        length);
    rows.beginSequence(blocks);
    for (int i = from; i < to; i++) {
      int position = batch.position(i);
      int row = rows.addToken(batch.tokenId(i), position);
      ints.set(StepLayout.tokens() + row, batch.tokenId(i));
      ints.set(StepLayout.positions(layout.rows()) + row, position);
      ints.set(StepLayout.blocks(layout.rows()) + row, blocks[position / KvLayout.BLOCK_SIZE]);
      ints.set(StepLayout.firstSlot(layout.rows()) + row, slots);
      int splits = Attention.splits(position + 1);
      for (int split = 0; split < splits; split++) {
        ints.set(StepLayout.slotRow(layout.rows()) + slots, row);
        int tokens = Math.min(Attention.SPLIT, position + 1 - split * Attention.SPLIT);
        ints.set(StepLayout.slotCount(layout.rows(), layout.slots()) + slots, tokens);
        int first = tables + tableInts + split * (Attention.SPLIT / KvLayout.BLOCK_SIZE);
        ints.set(StepLayout.slotTable(layout.rows(), layout.slots()) + slots, first);
        slots++;
      }
    }
    tableInts += length;
  }

  /** Completes a pass whose rows have all been added. */
  void end() {
    table.fill(rows);
    copyRope(table, rows.numTokens(), headDim, rope);
    ints.set(StepLayout.N, rows.numTokens());
    ints.set(StepLayout.SLOTS, slots);
    spread(slots);
  }

  /** Has so many work groups take the slots; at first each has one of its own. */
  void spread(int groups) {
    ints.set(StepLayout.GROUPS, Math.max(1, groups));
  }

  static void copyRope(RopeTable table, int n, int headDim, FloatArray rope) {
    int half = headDim / 2;
    for (int row = 0; row < n; row++) {
      for (int i = 0; i < half; i++) {
        rope.set(row * headDim + i, table.cos()[row * half + i]);
        rope.set(row * headDim + half + i, table.sin()[row * half + i]);
      }
    }
  }

  int numRows() {
    return rows.numTokens();
  }

  int slots() {
    return slots;
  }
}
