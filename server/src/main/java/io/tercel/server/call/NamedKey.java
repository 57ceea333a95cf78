package io.tercel.server.call;

/** One of several keys of a server. */
public record NamedKey(String name, ApiKey key, KeyTerms terms) {
  /** Names that are in logs and metrics where a request came by none of these keys. */
  private static final java.util.Set<String> TAKEN =
      java.util.Set.of(Keys.CLIENT, Keys.ADMIN, Keys.NONE);

  /**
   * A key.
   *
   * @throws IllegalArgumentException if that is no name
   */
  public NamedKey {
    if (!name.matches("[A-Za-z0-9._-]{1,64}")) {
      throw new IllegalArgumentException("must be 1 to 64 letters, digits or any of . _ -");
    }
    if (TAKEN.contains(name)) {
      throw new IllegalArgumentException(
          "must not be '" + name + "', which stands for what comes by none of these keys");
    }
  }
}
