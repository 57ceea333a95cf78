package io.tercel.server.http;

/** What a server serves: routes, and whether they admit requests. */
public interface HttpService {

  /**
   * Adds its routes.
   *
   * @param server says whether requests are admitted
   */
  void addTo(Router router, HttpServer server);

  /** For what goes wrong before a route is found, and on its routes. */
  ErrorFormat errors();

  /** Whether requests for tokens are admitted. */
  boolean ready();

  /** Stops admissions for good; what runs and waits goes on. */
  void drain();
}
