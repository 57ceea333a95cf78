package io.tercel.server.text.jinja;

import java.util.List;
import org.jspecify.annotations.Nullable;

/** The {@code loop} of a for block. */
final class LoopVariable {
  private final List<Object> items;
  private final int depth;
  private final Budget budget;
  private int index;
  private @Nullable Object lastChanged;

  LoopVariable(List<Object> items, int depth, Budget budget) {
    this.budget = budget;
    this.items = items;
    this.depth = depth;
  }

  void moveTo(int newIndex) {
    index = newIndex;
  }

  Object get(String name) {
    return switch (name) {
      case "index" -> index + 1L;
      case "index0" -> (long) index;
      case "revindex" -> (long) items.size() - index;
      case "revindex0" -> items.size() - 1L - index;
      case "first" -> index == 0;
      case "last" -> index == items.size() - 1;
      case "length" -> (long) items.size();
      case "depth" -> depth + 1L;
      case "depth0" -> (long) depth;
      case "previtem" ->
          index > 0 ? items.get(index - 1) : new Undefined("there is no previous item");
      case "nextitem" ->
          index + 1 < items.size() ? items.get(index + 1) : new Undefined("there is no next item");
      case "cycle" -> (Callable) this::cycle;
      case "changed" -> (Callable) this::changed;
      default -> new Undefined("loop has no attribute '" + name + "'");
    };
  }

  private Object cycle(Args args) {
    if (args.positional().isEmpty()) {
      throw TemplateException.of("loop.cycle() needs an argument");
    }
    return args.positional().get(index % args.positional().size());
  }

  private Object changed(Args args) {
    Tuple now = new Tuple(args.positional());
    boolean same = lastChanged != null && Operators.equal(lastChanged, now, budget);
    lastChanged = now;
    return !same;
  }
}
