package io.tercel.server.engine.speculation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SuffixTreeTest {
  private static void count(Map<List<Integer>, Integer> counts, List<Integer> text, int end) {
    for (int length = 1; length <= Math.min(end, SuffixTree.DEPTH); length++) {
      counts.merge(List.copyOf(text.subList(end - length, end)), 1, Integer::sum);
    }
  }

  private static int node(SuffixTree tree, List<Integer> string) {
    int node = SuffixTree.ROOT;
    for (int token : string) {
      node = tree.child(node, token);
      if (node == SuffixTree.ROOT) {
        return node;
      }
    }
    return node;
  }

  /** Two texts, entered a token each in turn, as sequences of a batch are. */
  @ParameterizedTest
  @ValueSource(ints = {2, 4, 30})
  void counts_areThoseOfEveryString(int vocab) {
    Random random = new Random(vocab);
    SuffixTree tree = new SuffixTree(1 << 16);
    Map<List<Integer>, Integer> counts = new HashMap<>();
    List<List<Integer>> texts = List.of(new ArrayList<>(), new ArrayList<>());
    int[] at = new int[2];
    for (int i = 0; i < 600; i++) {
      int t = random.nextInt(2);
      List<Integer> text = texts.get(t);
      text.add(
          random.nextInt(3) > 0 && text.size() > 9
              ? text.get(text.size() - 9)
              : random.nextInt(vocab));
      at[t] = tree.enter(at[t], text.getLast());
      count(counts, text, text.size());
      List<Integer> last = text.subList(Math.max(0, text.size() - SuffixTree.DEPTH), text.size());
      assertEquals(node(tree, last), at[t], "the place behind the last tokens");
    }
    Map<List<Integer>, Integer> most = new HashMap<>();
    Map<List<Integer>, Integer> followed = new HashMap<>();
    counts.forEach(
        (string, times) -> {
          int node = node(tree, string);
          assertEquals(times, tree.times(node), string.toString());
          assertEquals(string.size(), tree.depth(node));
          assertEquals(string.getLast(), tree.token(node));
          assertEquals(node(tree, string.subList(1, string.size())), tree.link(node));
          List<Integer> before = List.copyOf(string.subList(0, string.size() - 1));
          most.merge(before, times, Math::max);
          followed.merge(before, times, Integer::sum);
        });
    counts.forEach(
        (string, _) -> {
          int node = node(tree, string);
          assertEquals(followed.getOrDefault(string, 0), tree.followed(node), string.toString());
          int best = tree.best(node);
          assertEquals(
              most.getOrDefault(string, 0), best == SuffixTree.ROOT ? 0 : tree.times(best));
        });
    assertEquals(counts.size() + 1, tree.size());
  }

  @Test
  void follow_findsTheLongestSuffix() {
    Random random = new Random(5);
    SuffixTree tree = new SuffixTree(1 << 16);
    int at = SuffixTree.ROOT;
    for (int i = 0; i < 2000; i++) {
      at = tree.enter(at, random.nextInt(5));
    }
    List<Integer> other = new ArrayList<>();
    int followed = SuffixTree.ROOT;
    for (int i = 0; i < 2000; i++) {
      other.add(random.nextInt(6)); // one is unknown
      followed = tree.follow(followed, other.getLast());
      int longest = SuffixTree.ROOT;
      for (int n = Math.min(other.size(), SuffixTree.DEPTH);
          n > 0 && longest == SuffixTree.ROOT;
          n--) {
        longest = node(tree, other.subList(other.size() - n, other.size()));
      }
      assertEquals(longest, followed, "at " + i);
    }
  }

  @Test
  void full_isForgottenWholly() {
    SuffixTree tree = new SuffixTree(64);
    int at = SuffixTree.ROOT;
    int entered = 0;
    while (tree.hasRoom()) {
      at = tree.enter(at, entered++);
    }
    assertTrue(entered > SuffixTree.DEPTH, "entered " + entered);
    int generation = tree.generation();
    tree.clear();
    assertTrue(tree.hasRoom());
    assertFalse(generation == tree.generation());
    for (int i = 0; i < entered; i++) {
      assertEquals(SuffixTree.ROOT, tree.child(SuffixTree.ROOT, i));
    }
    assertEquals(0, tree.followed(SuffixTree.ROOT));
    int again = tree.enter(SuffixTree.ROOT, 3);
    assertEquals(1, tree.times(again));
    assertEquals(0, tree.followed(again));
  }

  /** What was said before a tree was full is guessed from the full one; then it is forgotten. */
  @Test
  void memory_keepsTheTreeBefore() {
    SuffixMemory memory = new SuffixMemory(512);
    Acceptance acceptance = new Acceptance();
    int[] phrase = {901, 902, 903, 904, 905, 906};
    new SuffixDraft(memory, acceptance, 0).end(phrase, phrase.length);
    SuffixTree first = memory.growing();
    int next = 0;
    int turns = 0;
    boolean known = true;
    while (turns < 2) {
      int[] filler = new int[10];
      for (int i = 0; i < filler.length; i++) {
        filler[i] = next++ % 900;
      }
      SuffixTree before = memory.growing();
      new SuffixDraft(memory, acceptance, 0).end(filler, filler.length);
      turns += memory.growing() == before ? 0 : 1;
      Draft draft = new Draft();
      new SuffixDraft(memory, acceptance, 3).draft(Arrays.copyOf(phrase, 3), 3, 3, 0, draft);
      known = draft.size() > 0 && draft.token(0) == 904;
      assertTrue(known || turns == 2, "forgotten too early");
      if (memory.full() != first && memory.growing() != first) {
        break;
      }
    }
    assertEquals(2, turns);
  }
}
