package io.tercel.server.call;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/** Keys with names, and a clock that stands until it is set. */
public final class TestKeys {
  private final AtomicLong nanos = new AtomicLong(1_000_000_000_000L);
  public final Keys keys;

  public TestKeys(@Nullable String client, @Nullable String admin) {
    Instant start = Instant.parse("2026-01-01T00:00:00Z");
    keys =
        Keys.of(
            client,
            admin,
            true,
            () -> start.plusNanos(nanos.get() - 1_000_000_000_000L),
            nanos::get);
  }

  /** The key of a name is its name and "-secret". */
  public TestKeys with(String name, KeyTerms terms) {
    List<NamedKey> all = new ArrayList<>(named);
    all.add(new NamedKey(name, ApiKey.of(name + "-secret"), terms));
    return replace(all);
  }

  private List<NamedKey> named = List.of();

  public TestKeys without(String name) {
    return replace(named.stream().filter(key -> !key.name().equals(name)).toList());
  }

  private TestKeys replace(List<NamedKey> all) {
    keys.replaceNamed(all);
    named = all;
    return this;
  }

  public void pass(Duration time) {
    nanos.addAndGet(time.toNanos());
  }

  public KeyHolder holder(String name) {
    return keys.holders().stream().filter(h -> h.name().equals(name)).findFirst().orElseThrow();
  }
}
