package io.tercel.server.http;

import io.tercel.server.call.Guard;
import io.tercel.server.call.Keys;

/** What a server serves: routes, and whether they admit requests. */
public interface HttpService extends RouteGroup {

  /**
   * Who may come in.
   *
   * @param loopback whether only this machine reaches the server
   */
  default Guard guard(Keys keys, boolean loopback) {
    return keys.clients();
  }

  /** Whether routes that need no key say more than that the server lives. */
  default boolean tellsStrangers() {
    return false;
  }

  /** For what goes wrong before a route is found, and on routes that have no other form. */
  ErrorFormat errors();

  /** Whether requests for tokens are admitted. */
  boolean ready();

  /** Stops admissions for good; what runs and waits goes on. */
  void drain();
}
