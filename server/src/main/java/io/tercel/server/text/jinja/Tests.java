package io.tercel.server.text.jinja;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.BiPredicate;
import java.util.function.Predicate;

/** What may follow {@code is}, and name a test in select and reject. */
final class Tests {
  /** A test of a value with its arguments. */
  private interface ValueTest {
    boolean test(Object value, Args args, Budget budget);
  }

  private static final Map<String, ValueTest> TESTS =
      Map.ofEntries(
          alone("defined", value -> !(value instanceof Undefined)),
          alone("undefined", value -> value instanceof Undefined),
          alone("none", value -> value == None.NONE),
          alone("string", value -> value instanceof String),
          alone("mapping", value -> value instanceof Map<?, ?>),
          alone("boolean", value -> value instanceof Boolean),
          alone("true", value -> Boolean.TRUE.equals(value)),
          alone("false", value -> Boolean.FALSE.equals(value)),
          alone("integer", Values::isInteger),
          alone("float", value -> value instanceof Double),
          alone("number", value -> value instanceof Number || value instanceof Boolean),
          alone("callable", value -> value instanceof Callable),
          alone("iterable", Tests::isIterable),
          alone("sequence", Tests::isIterable),
          alone("odd", value -> Math.floorMod(Values.integer(value, "an odd number"), 2L) == 1),
          alone("even", value -> Math.floorMod(Values.integer(value, "an even number"), 2L) == 0),
          alone("upper", value -> isCase(value, true)),
          alone("lower", value -> isCase(value, false)),
          with("divisibleby", (a, b) -> mod(a, b) == 0),
          with("sameas", Tests::same),
          comparing("equalto", "=="),
          comparing("eq", "=="),
          comparing("ne", "!="),
          comparing("lt", "<"),
          comparing("lessthan", "<"),
          comparing("le", "<="),
          comparing("gt", ">"),
          comparing("greaterthan", ">"),
          comparing("ge", ">="),
          comparing("in", "in"),
          with("startingwith", (a, b) -> text(a).startsWith(text(b))),
          with("endingwith", (a, b) -> text(a).endsWith(text(b))));

  private Tests() {}

  static boolean exists(String name) {
    return TESTS.containsKey(name);
  }

  static boolean apply(String name, Object value, Args args, Budget budget) {
    ValueTest test = TESTS.get(name);
    if (test == null) {
      throw TemplateException.of("no test named '" + name + "'");
    }
    budget.work(value instanceof String text ? text.length() / 8 + 1 : 1);
    return test.test(value, args, budget);
  }

  private static Map.Entry<String, ValueTest> alone(String name, Predicate<Object> test) {
    return Map.entry(
        name,
        (value, args, budget) -> {
          args.atMost("the test '" + name + "'", 0);
          return test.test(value);
        });
  }

  private static Map.Entry<String, ValueTest> with(String name, BiPredicate<Object, Object> test) {
    return Map.entry(name, (value, args, budget) -> test.test(value, argument(name, args)));
  }

  private static Map.Entry<String, ValueTest> comparing(String name, String operator) {
    return Map.entry(
        name,
        (value, args, budget) -> Operators.compare(operator, value, argument(name, args), budget));
  }

  private static Object argument(String name, Args args) {
    return args.bind("the test '" + name + "'", 1, List.of("other"), None.NONE).get(0);
  }

  private static boolean isIterable(Object value) {
    return value instanceof String
        || value instanceof List<?>
        || value instanceof Map<?, ?>
        || value instanceof Tuple
        || value instanceof Undefined;
  }

  private static boolean isCase(Object value, boolean upper) {
    if (!(value instanceof String text)) {
      return false;
    }
    String other = upper ? text.toUpperCase(Locale.ROOT) : text.toLowerCase(Locale.ROOT);
    return text.equals(other) && text.codePoints().anyMatch(Character::isLetter);
  }

  @SuppressWarnings("ReferenceEquality") // Python's "is" is identity by definition.
  private static boolean same(Object a, Object b) {
    return a == b
        || (a.getClass() == b.getClass()
            && !(a instanceof List<?> || a instanceof Map<?, ?>)
            && a.equals(b));
  }

  private static long mod(Object a, Object b) {
    long divisor = Values.integer(b, "a divisor");
    if (divisor == 0) {
      throw TemplateException.of("division by zero");
    }
    return Math.floorMod(Values.integer(a, "a dividend"), divisor);
  }

  private static String text(Object value) {
    return Values.string(value, "what a test compares");
  }
}
