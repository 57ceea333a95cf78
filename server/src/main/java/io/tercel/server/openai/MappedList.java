package io.tercel.server.openai;

import java.util.AbstractList;
import java.util.List;
import java.util.RandomAccess;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * A list whose entries are made of another's as they are read: an answer's log-probs take several
 * times the memory of what they are made of, and are written once.
 */
final class MappedList<A, B extends @Nullable Object> extends AbstractList<B>
    implements RandomAccess {
  private final List<A> from;
  private final Function<A, B> entry;

  MappedList(List<A> from, Function<A, B> entry) {
    this.from = from;
    this.entry = entry;
  }

  @Override
  public B get(int index) {
    return entry.apply(from.get(index));
  }

  @Override
  public int size() {
    return from.size();
  }
}
