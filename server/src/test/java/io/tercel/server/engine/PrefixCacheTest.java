package io.tercel.server.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PrefixCacheTest {
  /** One bucket is every collision there can be. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 64})
  void find_isExactWhateverCollides(int numBuckets) {
    PrefixCache cache = new PrefixCache(64, 3, PrefixCacheListener.NONE, numBuckets);
    Map<List<Integer>, Integer> expected = new HashMap<>(); // whole prefix to block
    Random random = new Random(5);
    int block = 0;
    for (int i = 0; i < 400; i++) {
      int[] tokens = random.ints(9, 0, 2).toArray();
      long parent = PrefixCache.ROOT;
      int parentBlock = PrefixCache.NO_BLOCK;
      List<Integer> prefix = new ArrayList<>();
      for (int from = 0; from < 9; from += 3) {
        Arrays.stream(tokens, from, from + 3).forEach(prefix::add);
        int found = cache.find(parent, tokens, from);
        assertEquals(expected.getOrDefault(prefix, -1), found);
        if (found < 0) {
          if (block == 64) {
            break;
          }
          found = block++;
          cache.put(found, parentBlock, tokens, from);
          expected.put(List.copyOf(prefix), found);
        }
        parent = cache.id(found);
        parentBlock = found;
      }
    }
    assertEquals(64, cache.size());
  }

  @Test
  void evict_takesTheLongestUnused() {
    PrefixCache cache = new PrefixCache(4, 1, PrefixCacheListener.NONE);
    for (int b = 0; b < 4; b++) {
      cache.put(b, PrefixCache.NO_BLOCK, new int[] {b}, 0);
      cache.unused(b);
    }
    cache.used(0);
    cache.unused(0);
    assertEquals(1, cache.evict());
    assertEquals(2, cache.evict());
    assertEquals(3, cache.evict());
    assertEquals(0, cache.evict());
    assertThrows(IllegalStateException.class, cache::evict);
    assertEquals(0, cache.size());
  }

  @Test
  void parent_thatComesAgainIsAnother() {
    PrefixCache cache = new PrefixCache(2, 1, PrefixCacheListener.NONE);
    cache.put(0, PrefixCache.NO_BLOCK, new int[] {7}, 0);
    long before = cache.id(0);
    cache.put(1, 0, new int[] {8}, 0);
    cache.clear();
    cache.put(0, PrefixCache.NO_BLOCK, new int[] {9}, 0);
    assertNotEquals(before, cache.id(0));
    assertEquals(-1, cache.find(cache.id(0), new int[] {8}, 0));
  }
}
