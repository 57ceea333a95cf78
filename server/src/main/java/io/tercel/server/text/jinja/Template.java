package io.tercel.server.text.jinja;

import java.time.ZonedDateTime;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** A parsed template. Immutable; any number of threads may render it at once. */
public final class Template {
  private static final long MAX_SOURCE = 1 << 20;
  private static final long BASE_STEPS = 4_000_000;
  private static final long BASE_WORK = 16_000_000;
  private static final long MAX_OUTPUT = 64_000_000;

  private final List<Statement> statements;

  private Template(List<Statement> statements) {
    this.statements = statements;
  }

  /**
   * Parses a template.
   *
   * @throws TemplateException if it is malformed, or uses a tag, filter or test that is not known
   */
  public static Template parse(String source) {
    if (source.length() > MAX_SOURCE) {
      throw TemplateException.of("the template has more than " + MAX_SOURCE + " characters");
    }
    return new Template(Parser.parse(source));
  }

  /**
   * Renders with the given variables: maps, lists, strings, numbers, booleans and null, as JSON
   * gives them.
   *
   * @param clock what {@code strftime_now} reads
   * @throws TemplateException if the template raises, errs, or spends more than its budget, which
   *     grows with the input
   */
  public String render(
      Map<String, ? extends @Nullable Object> variables, Supplier<ZonedDateTime> clock) {
    long input = size(variables, 0);
    Budget budget = new Budget(BASE_STEPS + input * 32, BASE_WORK + input * 64, MAX_OUTPUT);
    Scope scope = new Scope(null);
    Globals.define(scope, budget, clock);
    variables.forEach((name, value) -> scope.set(name, Values.fromJava(value, budget)));
    // Assignments go to a scope of their own, so that a macro sees them and the globals stay.
    return new Interpreter(budget).render(statements, new Scope(scope));
  }

  /**
   * About how many characters and items the input has; what a rendering may spend grows with it.
   */
  private static long size(@Nullable Object value, int depth) {
    if (depth > 200) {
      return 0; // Refused soon after, by the conversion.
    }
    return switch (value) {
      case null -> 1;
      case String text -> text.length() + 1L;
      case Map<?, ?> map -> {
        long sum = 1;
        for (Object item : map.values()) {
          sum += size(item, depth + 1) + 1;
        }
        yield sum;
      }
      case List<?> list -> {
        long sum = 1;
        for (Object item : list) {
          sum += size(item, depth + 1);
        }
        yield sum;
      }
      default -> 1;
    };
  }
}
