package io.tercel.server.call;

import org.jspecify.annotations.Nullable;

/**
 * The server's keys: one for its clients, and one for whoever runs it. The second opens all that
 * the first does. Never prints them.
 */
public final class Keys {
  private final @Nullable ApiKey client;
  private final @Nullable ApiKey admin;

  private Keys(@Nullable ApiKey client, @Nullable ApiKey admin) {
    this.client = client;
    this.admin = admin;
  }

  /**
   * Of a server.
   *
   * @param client null: everybody is a client
   * @param admin null: nobody is known to run it
   * @throws IllegalArgumentException if one can't be sent in a header, or both are the same; the
   *     message says which
   */
  public static Keys of(@Nullable String client, @Nullable String admin) {
    check("API", client);
    check("admin", admin);
    if (client != null && client.equals(admin)) {
      throw new IllegalArgumentException(
          "the admin key must differ from the API key, which every client has");
    }
    return new Keys(
        client == null ? null : new ApiKey(client), admin == null ? null : new ApiKey(admin));
  }

  private static void check(String name, @Nullable String key) {
    if (key != null && !key.matches("[!-~]+")) { // what a header can carry
      throw new IllegalArgumentException(
          "the " + name + " key must be of visible ASCII characters");
    }
  }

  /** Whether clients need one. */
  public boolean guardClients() {
    return client != null;
  }

  /** Whether whoever runs the server has one. */
  public boolean guardControl() {
    return admin != null;
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

  private boolean isAdmin(@Nullable String authorization) {
    return admin != null && authorization != null && admin.isIn(authorization);
  }

  private final class Clients implements Guard {
    @Override
    public Rights admit(@Nullable String authorization) {
      if (isAdmin(authorization)) {
        return Rights.ADMIN;
      }
      if (client != null) {
        client.check(authorization);
      }
      return Rights.CLIENT;
    }

    @Override
    public boolean asksForKey() {
      return client != null;
    }
  }

  private final class Control implements Guard {
    private final boolean open;

    Control(boolean loopback) {
      this.open = loopback && client == null && admin == null;
    }

    @Override
    public Rights admit(@Nullable String authorization) {
      if (open || isAdmin(authorization)) {
        return Rights.ADMIN;
      }
      if (admin == null) {
        throw ApiException.forbidden(
            "Control is closed: start the server with --admin-key (or TERCEL_ADMIN_KEY) and send"
                + " that.");
      }
      if (authorization != null && client != null && client.isIn(authorization)) {
        throw ApiException.forbidden("This needs the admin key (--admin-key), not the API key.");
      }
      throw ApiException.unauthorized(authorization != null);
    }

    @Override
    public boolean asksForKey() {
      return !open;
    }
  }
}
