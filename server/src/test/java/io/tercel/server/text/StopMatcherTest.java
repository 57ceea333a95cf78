package io.tercel.server.text;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class StopMatcherTest {
  @Test
  void holdsBackWhatCouldBecomeAStop() {
    StopMatcher matcher = new StopMatcher(List.of("\n\nQ:", "END"), false);
    assertEquals(new StopMatcher.Result("a", null), matcher.accept("a\n"));
    assertEquals(new StopMatcher.Result("", null), matcher.accept("\nQ"));
    assertEquals(new StopMatcher.Result("\n\nQx", null), matcher.accept("xE"));
    assertEquals(new StopMatcher.Result("E", null), matcher.accept("EN"));
    assertEquals(new StopMatcher.Result("", "END"), matcher.accept("DE"));
    assertEquals(new StopMatcher.Result("", null), matcher.accept("more"));
    assertEquals("", matcher.flush());
  }

  @Test
  void flush_givesWhatWasHeld() {
    StopMatcher matcher = new StopMatcher(List.of("END"), false);
    assertEquals("x", matcher.accept("xEN").text());
    assertEquals("EN", matcher.flush());
  }

  @Test
  void includeStop_sendsIt() {
    assertEquals(
        new StopMatcher.Result("aEND", "END"),
        new StopMatcher(List.of("END"), true).accept("aENDb"));
  }

  @Test
  void noStops_passAllThrough() {
    assertEquals("abc", new StopMatcher(List.of(""), false).accept("abc").text());
  }

  /** Against indexOf on the whole text: the first to end, of those the longest. */
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6})
  void randomTexts_asIndexOf(long seed) {
    Random random = new Random(seed);
    for (int round = 0; round < 3000; round++) {
      List<String> stops = new ArrayList<>();
      for (int i = random.nextInt(4); i > 0; i--) {
        stops.add(word(random, 1 + random.nextInt(5)));
      }
      String text = word(random, random.nextInt(30));
      boolean include = random.nextBoolean();
      int end = Integer.MAX_VALUE;
      String expectedStop = null;
      for (String stop : stops) {
        int at = text.indexOf(stop);
        int stopEnd = at < 0 ? Integer.MAX_VALUE : at + stop.length();
        if (at >= 0
            && (stopEnd < end
                || (stopEnd == end
                    && expectedStop != null
                    && stop.length() > expectedStop.length()))) {
          end = stopEnd;
          expectedStop = stop;
        }
      }
      String expected =
          expectedStop == null
              ? text
              : text.substring(0, include ? end : end - expectedStop.length());
      String label = "seed " + seed + ": " + stops + " in " + text;

      StopMatcher matcher = new StopMatcher(stops, include);
      StringBuilder out = new StringBuilder();
      String found = null;
      for (int i = 0; i < text.length() && found == null; ) {
        int next = Math.min(text.length(), i + random.nextInt(6));
        StopMatcher.Result result = matcher.accept(text.substring(i, next));
        out.append(result.text());
        assertEquals(true, expected.startsWith(out.toString()), label);
        found = result.stop();
        i = next;
      }
      out.append(matcher.flush());
      assertEquals(expected, out.toString(), label);
      if (expectedStop == null) {
        assertNull(found, label);
      } else {
        assertEquals(expectedStop, found, label);
      }
    }
  }

  private static String word(Random random, int length) {
    StringBuilder word = new StringBuilder();
    for (int i = 0; i < length; i++) {
      word.append((char) ('a' + random.nextInt(2)));
    }
    return word.toString();
  }
}
