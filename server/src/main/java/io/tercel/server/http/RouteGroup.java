package io.tercel.server.http;

/** Routes that belong together, such as those of one API. */
public interface RouteGroup {

  /**
   * Adds them.
   *
   * @param server says whether requests are admitted
   */
  void addTo(Router router, HttpServer server);
}
