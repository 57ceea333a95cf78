package io.tercel.server.text.jinja;

import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Supplier;

/** The functions a template finds: Hugging Face's two, and jinja2's range, dict and namespace. */
final class Globals {
  private Globals() {}

  static void define(Scope scope, Budget budget, Supplier<ZonedDateTime> clock) {
    scope.set("range", (Callable) args -> range(args, budget));
    scope.set("dict", (Callable) args -> dict(args));
    scope.set("namespace", (Callable) args -> namespace(args, budget));
    scope.set("raise_exception", (Callable) args -> raise(args, budget));
    scope.set("strftime_now", (Callable) args -> strftime(args, clock.get()));
  }

  private static Object raise(Args args, Budget budget) {
    Object message = args.bind("raise_exception()", 1, List.of("message"), None.NONE).get(0);
    throw TemplateException.of(Values.text(message, budget));
  }

  private static Object range(Args args, Budget budget) {
    args.atMost("range()", 3);
    List<Object> given = args.positional();
    if (given.isEmpty()) {
      throw TemplateException.of("range() needs an argument");
    }
    long first = Values.integer(given.get(0), "range()'s argument");
    long start = given.size() > 1 ? first : 0;
    long stop = given.size() > 1 ? Values.integer(given.get(1), "range()'s end") : first;
    long step = given.size() > 2 ? Values.integer(given.get(2), "range()'s step") : 1;
    if (step == 0) {
      throw TemplateException.of("range()'s step is zero");
    }
    List<Object> numbers = new ArrayList<>();
    for (long i = start; step > 0 ? i < stop : i > stop; i += step) {
      budget.step();
      budget.work(1);
      numbers.add(i);
    }
    return numbers;
  }

  private static Object dict(Args args) {
    Map<Object, Object> map = new LinkedHashMap<>();
    for (Object source : args.positional()) {
      if (!(source instanceof Map<?, ?> other)) {
        throw TemplateException.of("dict() takes a dict and named arguments");
      }
      map.putAll(other);
    }
    map.putAll(args.named());
    return map;
  }

  private static Object namespace(Args args, Budget budget) {
    Namespace namespace = new Namespace();
    ((Map<?, ?>) dict(args))
        .forEach((name, value) -> namespace.set(PyText.str(name, budget), value));
    return namespace;
  }

  private static Object strftime(Args args, ZonedDateTime now) {
    String format =
        Values.string(
            args.bind("strftime_now()", 1, List.of("format"), None.NONE).get(0),
            "strftime_now()'s format");
    StringBuilder out = new StringBuilder();
    for (int i = 0; i < format.length(); i++) {
      char c = format.charAt(i);
      if (c != '%' || i + 1 >= format.length()) {
        out.append(c);
        continue;
      }
      char code = format.charAt(++i);
      boolean unpadded = code == '-' && i + 1 < format.length();
      String part = field(unpadded ? format.charAt(++i) : code, now);
      out.append(unpadded && part.length() > 1 && part.startsWith("0") ? part.substring(1) : part);
    }
    return out.toString();
  }

  private static String field(char code, ZonedDateTime now) {
    String pattern =
        switch (code) {
          case 'Y' -> "uuuu";
          case 'y' -> "uu";
          case 'm' -> "MM";
          case 'd' -> "dd";
          case 'H' -> "HH";
          case 'I' -> "hh";
          case 'M' -> "mm";
          case 'S' -> "ss";
          case 'p' -> "a";
          case 'A' -> "EEEE";
          case 'a' -> "EEE";
          case 'B' -> "MMMM";
          case 'b' -> "MMM";
          case 'j' -> "DDD";
          case 'f' -> "SSSSSS";
          case 'F' -> "uuuu-MM-dd";
          case 'T' -> "HH:mm:ss";
          case '%' -> "'%'";
          default -> throw TemplateException.of("strftime_now() does not know '%" + code + "'");
        };
    return DateTimeFormatter.ofPattern(pattern, Locale.US).format(now);
  }
}
