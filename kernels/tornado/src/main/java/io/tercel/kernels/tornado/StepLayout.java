package io.tercel.kernels.tornado;

import io.tercel.kernels.memory.KvLayout;
import io.tercel.kernels.ops.Attention;

/**
 * Where things lie in the one array of ints that a step sends to the device.
 *
 * <pre>
 *   n, slots, groups, 0 ..                header of 8
 *   token ids            [rows]
 *   positions            [rows]
 *   blocks               [rows]           of the pool, where the row's keys and values go
 *   first slots          [rows]           of the row's splits
 *   rows of slots        [slots]
 *   tokens of slots      [slots]
 *   tables of slots      [slots]          where in all this the blocks of the split begin
 *   block tables         [tableInts]      one after the other
 * </pre>
 *
 * A slot is one split of one row's context. Attention has so many work groups for each head, which
 * take the slots in turn.
 *
 * @param rows most rows of a pass
 * @param slots most slots of a pass
 * @param tableInts most entries of all block tables of a pass
 */
record StepLayout(int rows, int slots, int tableInts) {
  static final int N = 0;
  static final int SLOTS = 1;
  static final int GROUPS = 2;
  static final int HEADER = 8;

  /** Of one row of at most so many splits. */
  static StepLayout row(int splits) {
    return new StepLayout(1, splits, splits * (Attention.SPLIT / KvLayout.BLOCK_SIZE));
  }

  /** First token id. */
  static int tokens() {
    return HEADER;
  }

  static int positions(int rows) {
    return HEADER + rows;
  }

  static int blocks(int rows) {
    return HEADER + 2 * rows;
  }

  static int firstSlot(int rows) {
    return HEADER + 3 * rows;
  }

  static int slotRow(int rows) {
    return HEADER + 4 * rows;
  }

  static int slotCount(int rows, int slots) {
    return slotRow(rows) + slots;
  }

  static int slotTable(int rows, int slots) {
    return slotRow(rows) + 2 * slots;
  }

  static int tables(int rows, int slots) {
    return slotRow(rows) + 3 * slots;
  }

  /** Ints in all. */
  int size() {
    return tables(rows, slots) + tableInts;
  }
}
