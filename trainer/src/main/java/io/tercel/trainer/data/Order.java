package io.tercel.trainer.data;

import io.tercel.trainer.problems.Seeds;
import java.util.Random;

/**
 * The order in which items are taken: each epoch has every item once, shuffled anew. Which item
 * stands at a position is a function of (seed, position) alone. An endless supply is taken as it
 * comes.
 */
final class Order {
  private static final long STREAM = 201;

  private final long size;
  private final long seed;
  private long epoch = -1;
  private int[] items = {};

  Order(long size, long seed) {
    if (size < 1 || (size > Integer.MAX_VALUE && size != Long.MAX_VALUE)) {
      throw new IllegalArgumentException(size + " items");
    }
    this.size = size;
    this.seed = seed;
  }

  /**
   * The item at a position, from 0 on.
   *
   * @param passed how many in a row didn't do; those behind them follow, up to all of the epoch
   */
  synchronized long item(long position, long passed) {
    if (size == Long.MAX_VALUE) {
      return position + passed;
    }
    if (position / size != epoch) {
      epoch = position / size;
      items = shuffled(epoch);
    }
    return items[(int) ((position % size + passed) % size)];
  }

  private int[] shuffled(long number) {
    Random random = Seeds.random(seed, STREAM, number);
    int[] shuffled = new int[(int) size];
    for (int i = 0; i < shuffled.length; i++) {
      int other = random.nextInt(i + 1);
      shuffled[i] = shuffled[other];
      shuffled[other] = i;
    }
    return shuffled;
  }
}
