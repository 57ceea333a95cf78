package io.tercel.trainer.eval;

import java.util.List;

/** An answer as it is compared. */
sealed interface AnswerValue {
  /** A number, with a unit or none. */
  record Number(Quantity quantity, String unit, boolean percent) implements AnswerValue {}

  /** Several values. */
  record Several(Kind kind, String brackets, List<AnswerValue> items) implements AnswerValue {}

  /** Anything else. */
  record Text(String normal) implements AnswerValue {}

  /** How several values stand together. */
  enum Kind {
    /** In parentheses: order counts. */
    TUPLE,
    /** With a square bracket: order and brackets count. */
    INTERVAL,
    /** In braces: order doesn't count. */
    SET,
    /** Without brackets: the solutions of an equation, in any order. */
    LIST,
    /** A union of others. */
    UNION,
    /** Rows, each a tuple. */
    MATRIX,
    /** A real and an imaginary part. */
    COMPLEX
  }

  /** Whether two answers are the same. */
  default boolean same(AnswerValue other) {
    return switch (this) {
      case Number number -> other instanceof Number o ? sameNumber(number, o) : single(other, this);
      case Several several ->
          other instanceof Several o ? sameItems(several, o) : single(this, other);
      case Text text ->
          other instanceof Text o ? text.normal.equals(o.normal) : single(other, this);
    };
  }

  private static boolean sameNumber(Number a, Number b) {
    if (!a.unit.isEmpty() && !b.unit.isEmpty() && !a.unit.equals(b.unit)) {
      return false;
    }
    if (a.percent == b.percent) {
      return a.quantity.same(b.quantity);
    }
    Number part = a.percent ? a : b;
    Number plain = a.percent ? b : a;
    return part.quantity.same(plain.quantity) || part.quantity.percent().same(plain.quantity);
  }

  /** A set or a list of one is that one. */
  private static boolean single(AnswerValue several, AnswerValue one) {
    return several instanceof Several s
        && (s.kind == Kind.SET || s.kind == Kind.LIST)
        && s.items.size() == 1
        && s.items.getFirst().same(one);
  }

  private static boolean sameItems(Several a, Several b) {
    if (a.items.size() != b.items.size()) {
      return false;
    }
    boolean unordered =
        a.kind == b.kind
            ? a.kind == Kind.SET || a.kind == Kind.LIST || a.kind == Kind.UNION
            : (a.kind == Kind.SET && b.kind == Kind.LIST)
                || (a.kind == Kind.LIST && b.kind == Kind.SET);
    if (unordered) {
      return sameBag(a.items, b.items);
    }
    boolean ordered =
        a.kind == b.kind
            ? a.brackets.equals(b.brackets)
            : (a.kind == Kind.TUPLE && b.kind == Kind.LIST)
                || (a.kind == Kind.LIST && b.kind == Kind.TUPLE);
    if (!ordered) {
      return false;
    }
    for (int i = 0; i < a.items.size(); i++) {
      if (!a.items.get(i).same(b.items.get(i))) {
        return false;
      }
    }
    return true;
  }

  private static boolean sameBag(List<AnswerValue> a, List<AnswerValue> b) {
    boolean[] taken = new boolean[b.size()];
    for (AnswerValue value : a) {
      int found = -1;
      for (int i = 0; i < taken.length && found < 0; i++) {
        if (!taken[i] && value.same(b.get(i))) {
          found = i;
        }
      }
      if (found < 0) {
        return false;
      }
      taken[found] = true;
    }
    return true;
  }
}
