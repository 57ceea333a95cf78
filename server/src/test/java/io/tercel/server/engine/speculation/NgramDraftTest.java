package io.tercel.server.engine.speculation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class NgramDraftTest {
  private static List<Integer> draft(NgramDraft drafter, int[] tokens, int length, int most) {
    Draft draft = new Draft();
    drafter.draft(tokens, length, most, 0, draft);
    List<Integer> list = new ArrayList<>();
    for (int i = 0; i < draft.size(); i++) {
      list.add(draft.token(i));
    }
    return list;
  }

  /** Of the latest places the latest of the longest matches, searched from end to end. */
  private static List<Integer> searched(int[] tokens, int length, int most) {
    int bestLength = NgramDraft.SHORTEST - 1;
    int from = 0;
    int seen = 0;
    for (int place = length - 1; place > 0 && seen < NgramDraft.CANDIDATES; place--) {
      int common = 0;
      while (common < Math.min(NgramDraft.LONGEST, place)
          && tokens[place - 1 - common] == tokens[length - 1 - common]) {
        common++;
      }
      seen += common >= NgramDraft.SHORTEST ? 1 : 0;
      if (common > bestLength) {
        bestLength = common;
        from = place;
      }
    }
    List<Integer> draft = new ArrayList<>();
    for (int i = 0; i < most && from > 0; i++) {
      draft.add(from + i < length ? tokens[from + i] : draft.get(from + i - length));
    }
    return draft;
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4})
  void draft_isTheLatestOfTheLongestMatches(long seed) {
    Random random = new Random(seed);
    int[] tokens = random.ints(1500, 0, 12 + random.nextInt(10)).toArray();
    for (int i = 300; i < tokens.length; i++) { // passages that come again
      tokens[i] = random.nextInt(20) == 0 ? tokens[i] : tokens[i - 211];
    }
    NgramDraft drafter = new NgramDraft();
    int found = 0;
    for (int length = 1; length <= tokens.length; length += 1 + random.nextInt(4)) {
      List<Integer> expected = searched(tokens, length, 7);
      assertEquals(expected, draft(drafter, tokens, length, 7), "at " + length);
      found += expected.isEmpty() ? 0 : 1;
    }
    assertTrue(found > 300, "matches: " + found);
  }

  @Test
  void period_goesOn() {
    int[] tokens = {9, 1, 2, 3, 1, 2, 3};
    assertEquals(List.of(1, 2, 3, 1, 2, 3, 1), draft(new NgramDraft(), tokens, 7, 7));
  }

  @Test
  void nothingKnown_noDraft() {
    int[] tokens = {1, 2, 3, 4, 2};
    for (int length = 0; length <= tokens.length; length++) {
      assertEquals(List.of(), draft(new NgramDraft(), tokens, length, 7));
    }
  }
}
