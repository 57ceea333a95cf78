package io.tercel.kernels.ops;

import java.util.Arrays;

/**
 * The tokens of one step, flat: sequence s owns rows [queryStart(s), queryStart(s+1)), at
 * consecutive positions. A sequence in decode has one row; one that catches up has a chunk. Arrays
 * grow and are reused from step to step.
 *
 * <p>Position p of a sequence lives in block {@code blockTable[p / blockSize]} at offset {@code p %
 * blockSize}.
 */
public final class StepBatch {
  private int numTokens;
  private int numSequences;
  private int[] tokenIds = new int[64];
  private int[] positions = new int[64];
  private int[] queryStart = new int[17];
  private int[][] blockTables = new int[16][];

  /** Forgets all rows. */
  public void clear() {
    numTokens = 0;
    numSequences = 0;
  }

  /**
   * Adds a sequence whose rows follow with {@link #addToken}.
   *
   * @param blockTable block numbers covering at least every position up to the last row's; read
   *     during the step only, entries past those are ignored
   */
  public void beginSequence(int[] blockTable) {
    if (numSequences + 2 > queryStart.length) {
      queryStart = Arrays.copyOf(queryStart, 2 * queryStart.length);
    }
    if (numSequences == blockTables.length) {
      blockTables = Arrays.copyOf(blockTables, 2 * blockTables.length);
    }
    blockTables[numSequences] = blockTable;
    queryStart[numSequences] = numTokens;
    numSequences++;
    queryStart[numSequences] = numTokens;
  }

  /** Adds one row to the sequence begun last and returns its flat index. */
  public int addToken(int tokenId, int position) {
    if (numTokens == tokenIds.length) {
      tokenIds = Arrays.copyOf(tokenIds, 2 * numTokens);
      positions = Arrays.copyOf(positions, 2 * numTokens);
    }
    tokenIds[numTokens] = tokenId;
    positions[numTokens] = position;
    queryStart[numSequences] = numTokens + 1;
    return numTokens++;
  }

  public int numTokens() {
    return numTokens;
  }

  public int numSequences() {
    return numSequences;
  }

  public int tokenId(int row) {
    return tokenIds[row];
  }

  public int position(int row) {
    return positions[row];
  }

  /** First row of a sequence; of numSequences(), the number of tokens. */
  public int queryStart(int sequence) {
    return queryStart[sequence];
  }

  public int[] blockTable(int sequence) {
    return blockTables[sequence];
  }
}
