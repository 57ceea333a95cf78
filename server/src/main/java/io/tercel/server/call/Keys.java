package io.tercel.server.call;

import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * The server's keys: one for its clients or several that have names, and one for whoever runs it.
 * The last opens all that the others do. Those with names can be replaced while the server runs.
 * Never prints them. Thread-safe.
 */
public final class Keys {
  static final String CLIENT = "api-key";
  static final String ADMIN = "admin-key";
  static final String NONE = "none";

  private final List<Entry> fixed;
  private final boolean fromFile;
  private final InstantSource clock;
  private final LongSupplier nanoTime;
  private final KeyHolder anybody = KeyHolder.anybody(Rights.CLIENT);
  private final KeyHolder operator = KeyHolder.anybody(Rights.ADMIN);
  private final LongAdder unknown = new LongAdder();
  private volatile List<Entry> named = List.of();

  private record Entry(ApiKey key, KeyHolder holder) {}

  private Keys(
      @Nullable String client,
      @Nullable String admin,
      boolean fromFile,
      InstantSource clock,
      LongSupplier nanoTime) {
    this.fromFile = fromFile;
    this.clock = clock;
    this.nanoTime = nanoTime;
    List<Entry> all = new ArrayList<>();
    if (client != null) {
      all.add(entry("API", client, CLIENT, KeyTerms.CLIENT));
    }
    if (admin != null) {
      all.add(entry("admin", admin, ADMIN, KeyTerms.ADMIN));
    }
    this.fixed = List.copyOf(all);
  }

  private Entry entry(String what, String key, String name, KeyTerms terms) {
    try {
      return new Entry(ApiKey.of(key), new KeyHolder(name, terms, nanoTime));
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException("the " + what + " key " + e.getMessage(), e);
    }
  }

  /**
   * Of a server whose keys stay what they are.
   *
   * @param client null: everybody is a client
   * @param admin null: nobody is known to run it
   * @throws IllegalArgumentException if one can't be sent in a header, or both are the same; the
   *     message says which
   */
  public static Keys of(@Nullable String client, @Nullable String admin) {
    return of(client, admin, false, InstantSource.system(), System::nanoTime);
  }

  /** Of a server that has keys with names besides, none so far: without a key nobody comes in. */
  public static Keys withNamed(@Nullable String client, @Nullable String admin) {
    return of(client, admin, true, InstantSource.system(), System::nanoTime);
  }

  static Keys of(
      @Nullable String client,
      @Nullable String admin,
      boolean fromFile,
      InstantSource clock,
      LongSupplier nanoTime) {
    if (client != null && client.equals(admin)) {
      throw new IllegalArgumentException(
          "the admin key must differ from the API key, which every client has");
    }
    return new Keys(client, admin, fromFile, clock, nanoTime);
  }

  /**
   * From now on these are the keys with names. One that stays, by its name and its text, has used
   * what it has used; what runs by one that is gone ends.
   *
   * @throws IllegalArgumentException if two are the same; nothing has changed then
   */
  public synchronized void replaceNamed(List<NamedKey> keys) {
    check(keys);
    Map<String, Entry> before = new HashMap<>();
    named.forEach(entry -> before.put(entry.holder.name(), entry));
    List<Entry> now = new ArrayList<>();
    for (NamedKey key : keys) {
      Entry old = before.get(key.name());
      if (old != null && old.key.same(key.key())) {
        before.remove(key.name());
        old.holder.terms(key.terms());
        now.add(old);
      } else {
        now.add(new Entry(key.key(), new KeyHolder(key.name(), key.terms(), nanoTime)));
      }
    }
    named = List.copyOf(now);
    before.values().forEach(gone -> gone.holder.revoke());
    endExpired();
  }

  private void check(List<NamedKey> keys) {
    Set<String> names = new HashSet<>();
    for (int i = 0; i < keys.size(); i++) {
      NamedKey key = keys.get(i);
      if (!names.add(key.name())) {
        throw new IllegalArgumentException("two keys have the name '" + key.name() + "'");
      }
      for (Entry entry : fixed) {
        if (entry.key.same(key.key())) {
          throw new IllegalArgumentException(
              "the key '%s' is the same as --%s".formatted(key.name(), entry.holder.name()));
        }
      }
      for (NamedKey other : keys.subList(0, i)) {
        if (other.key().same(key.key())) {
          throw new IllegalArgumentException(
              "the keys '%s' and '%s' are the same".formatted(other.name(), key.name()));
        }
      }
    }
  }

  /** Ends what runs by keys whose time is over. */
  public void endExpired() {
    Instant now = clock.instant();
    for (Entry entry : named) {
      if (!entry.holder.active(now)) {
        entry.holder.endRunning();
      }
    }
  }

  /** Whether clients need one. */
  public boolean guardClients() {
    return fromFile || fixed.stream().anyMatch(e -> e.holder.rights() == Rights.CLIENT);
  }

  /** Whether whoever runs the server has one. */
  public boolean guardControl() {
    return fixed.stream().anyMatch(Keys::isAdmin) || named.stream().anyMatch(Keys::isAdmin);
  }

  private static boolean isAdmin(Entry entry) {
    return entry.holder.rights() == Rights.ADMIN;
  }

  /** Who has a key, and whoever has none. */
  public List<KeyHolder> holders() {
    List<KeyHolder> all = new ArrayList<>();
    fixed.forEach(entry -> all.add(entry.holder));
    named.forEach(entry -> all.add(entry.holder));
    if (!guardClients()) {
      all.add(anybody);
    }
    return all;
  }

  /** Requests whose key was none of the server's, or that had none and needed one. */
  public long unknown() {
    return unknown.sum();
  }

  /** For what clients use. */
  public Guard clients() {
    return new Clients();
  }

  /**
   * For what steers the server.
   *
   * @param loopback whether only this machine reaches it: without any key it is then open
   */
  public Guard control(boolean loopback) {
    return new Control(loopback);
  }

  /** Whose key an Authorization header carries; looks at all of them whichever it is. */
  private @Nullable KeyHolder find(@Nullable String authorization) {
    byte[] given = ApiKey.given(authorization);
    KeyHolder found = null;
    for (List<Entry> entries : List.of(fixed, named)) {
      for (Entry entry : entries) {
        if (entry.key.matches(given)) {
          found = entry.holder;
        }
      }
    }
    return found != null && found.active(clock.instant()) ? found : null;
  }

  private ApiException refusal(@Nullable String authorization) {
    unknown.increment();
    return ApiException.unauthorized(authorization != null);
  }

  private final class Clients implements Guard {
    @Override
    public KeyHolder admit(@Nullable String authorization) {
      KeyHolder holder = find(authorization);
      if (holder != null) {
        return holder;
      }
      if (guardClients()) {
        throw refusal(authorization);
      }
      return anybody;
    }

    @Override
    public boolean asksForKey() {
      return guardClients();
    }
  }

  private final class Control implements Guard {
    private final boolean open;

    Control(boolean loopback) {
      this.open = loopback && !guardClients() && !guardControl();
    }

    @Override
    public KeyHolder admit(@Nullable String authorization) {
      if (open) {
        return operator;
      }
      KeyHolder holder = find(authorization);
      if (holder != null && holder.rights() == Rights.ADMIN) {
        return holder;
      }
      if (!guardControl()) {
        throw ApiException.forbidden(
            "Control is closed: start the server with --admin-key (or TERCEL_ADMIN_KEY) and send"
                + " that.");
      }
      if (holder != null) {
        throw ApiException.forbidden("This needs the admin key (--admin-key), not the API key.");
      }
      throw refusal(authorization);
    }

    @Override
    public boolean asksForKey() {
      return !open;
    }
  }
}
