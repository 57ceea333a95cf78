package io.tercel.server.grammar;

import java.util.ArrayList;
import java.util.List;

/** A set of characters, as ranges that rise and don't touch. Halves of surrogate pairs are none. */
record CharSet(List<Range> ranges) {
  static final int LAST = 0x10FFFF;
  static final CharSet ALL = of(0, LAST);
  static final CharSet DIGIT = of('0', '9');
  static final CharSet WORD = of('0', '9').or(of('A', 'Z')).or(of('_', '_')).or(of('a', 'z'));

  /** ECMAScript's white space and line ends. */
  static final CharSet SPACE =
      of('\t', '\r')
          .or(of(' ', ' '))
          .or(of(0xA0, 0xA0))
          .or(of(0x1680, 0x1680))
          .or(of(0x2000, 0x200A))
          .or(of(0x2028, 0x2029))
          .or(of(0x202F, 0x202F))
          .or(of(0x205F, 0x205F))
          .or(of(0x3000, 0x3000))
          .or(of(0xFEFF, 0xFEFF));

  /** What a dot reads: all but line ends. */
  static final CharSet DOT = of('\n', '\n').or(of('\r', '\r')).or(of(0x2028, 0x2029)).complement();

  /** From the first to the last, both included. */
  record Range(int first, int last) {}

  CharSet {
    ranges = List.copyOf(ranges);
  }

  static CharSet of(int first, int last) {
    return new CharSet(List.of(new Range(first, last)));
  }

  boolean isEmpty() {
    return ranges.isEmpty();
  }

  CharSet or(CharSet other) {
    List<Range> all = new ArrayList<>(ranges);
    all.addAll(other.ranges);
    all.sort((a, b) -> Integer.compare(a.first(), b.first()));
    List<Range> joined = new ArrayList<>();
    for (Range r : all) {
      Range before = joined.isEmpty() ? null : joined.getLast();
      if (before != null && r.first() <= before.last() + 1) {
        joined.set(joined.size() - 1, new Range(before.first(), Math.max(before.last(), r.last())));
      } else {
        joined.add(r);
      }
    }
    return new CharSet(joined);
  }

  CharSet complement() {
    List<Range> rest = new ArrayList<>();
    int next = 0;
    for (Range r : ranges) {
      if (r.first() > next) {
        rest.add(new Range(next, r.first() - 1));
      }
      next = r.last() + 1;
    }
    if (next <= LAST) {
      rest.add(new Range(next, LAST));
    }
    return new CharSet(rest);
  }

  CharSet and(CharSet other) {
    return complement().or(other.complement()).complement();
  }

  boolean contains(int c) {
    for (Range r : ranges) {
      if (c <= r.last()) {
        return c >= r.first();
      }
    }
    return false;
  }
}
