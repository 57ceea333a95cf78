package io.tercel.server.openai;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ResponseStoreTest {
  private static final int LIMIT = 64 << 10;

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static byte[] array(int length) {
    return bytes("[" + "1".repeat(length - 2) + "]");
  }

  private static boolean keep(ResponseStore store, String id, int length) {
    try (ResponseStore.Draft draft = store.draft(array(length))) {
      return draft.keep(id, bytes("{}"), bytes("[]"));
    }
  }

  @Test
  void conversation_hasTheAnswerAtItsEnd() {
    ResponseStore store = new ResponseStore(LIMIT);
    for (String[] joined :
        new String[][] {
          {"[]", "[]", "[]"},
          {"[1]", "[]", "[1]"},
          {"[]", "[2]", "[2]"},
          {"[1,2]", "[3]", "[1,2,3]"}
        }) {
      try (ResponseStore.Draft draft = store.draft(bytes(joined[0]))) {
        assertTrue(draft.keep("a", bytes("{}"), bytes(joined[1])));
      }
      assertArrayEquals(bytes(joined[2]), store.conversation("a"));
      assertTrue(store.remove("a"));
    }
    assertEquals(0, store.used());
  }

  @Test
  void full_whatNobodyAskedForTheLongest_leaves() {
    ResponseStore store = new ResponseStore(LIMIT);
    for (int i = 0; i < 8; i++) {
      assertTrue(keep(store, "r" + i, 7000));
    }
    assertNotNull(store.response("r0"));
    assertTrue(keep(store, "new", 7000));
    assertNull(store.response("r1"), "the eldest");
    assertNotNull(store.response("r0"), "asked for meanwhile");
    assertNotNull(store.response("new"));
    assertFalse(keep(store, "large", LIMIT / 8), "an eighth at most, overhead included");
    try (ResponseStore.Draft draft = store.draft(array(4000))) {
      assertFalse(draft.keep("grown", array(2000), array(2000)), "with the answer, too");
    }
    assertNotNull(store.response("r2"), "nothing left for what is never kept");
  }

  /** Answers on their way hold their places; where they hold all, others aren't kept. */
  @Test
  void drafts_holdTheirPlaces() {
    ResponseStore store = new ResponseStore(LIMIT);
    assertTrue(keep(store, "a", 7000));
    List<ResponseStore.Draft> drafts = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      drafts.add(store.draft(array(7500)));
      assertTrue(drafts.getLast().open());
    }
    assertNull(store.response("a"));
    assertFalse(store.draft(array(7500)).open());
    assertTrue(store.used() <= LIMIT);
    drafts.forEach(ResponseStore.Draft::close);
    drafts.forEach(ResponseStore.Draft::close); // twice is once
    assertEquals(0, store.used());
  }

  @Test
  void nothingIsKept_withoutRoomOrWish() {
    ResponseStore none = new ResponseStore(0);
    assertFalse(none.keeps());
    assertFalse(keep(none, "a", 10));
    ResponseStore store = new ResponseStore(LIMIT);
    try (ResponseStore.Draft draft = store.draft(null)) {
      assertFalse(draft.open());
      assertFalse(draft.keep("a", bytes("{}"), bytes("[]")));
    }
    assertFalse(store.remove("a"));
    assertEquals(0, store.used());
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void anyOrder_neverMoreThanItsLimit_andAllComesFree(long seed) {
    Random random = new Random(seed);
    ResponseStore store = new ResponseStore(LIMIT);
    List<ResponseStore.Draft> drafts = new ArrayList<>();
    for (int i = 0; i < 5000; i++) {
      switch (random.nextInt(4)) {
        case 0 -> drafts.add(store.draft(array(2 + random.nextInt(9000))));
        case 1 -> {
          if (!drafts.isEmpty()) {
            try (ResponseStore.Draft draft = drafts.remove(random.nextInt(drafts.size()))) {
              draft.keep("r" + i, array(2 + random.nextInt(2000)), array(2 + random.nextInt(2000)));
            }
          }
        }
        case 2 -> store.remove("r" + random.nextInt(i + 1));
        default -> store.response("r" + random.nextInt(i + 1));
      }
      assertTrue(store.used() <= LIMIT && store.used() >= 0, "seed " + seed + ", step " + i);
    }
    drafts.forEach(ResponseStore.Draft::close);
    for (int i = 0; i < 5000; i++) {
      store.remove("r" + i);
    }
    assertEquals(0, store.used(), "seed " + seed);
  }
}
