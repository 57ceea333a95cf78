package io.tercel.server.page;

import io.tercel.server.http.HttpServer;
import io.tercel.server.http.RouteGroup;
import io.tercel.server.http.Router;
import java.util.List;

/**
 * A chat at {@code /} and figures at {@code /dashboard}, with their files under {@code /assets/}.
 * They need no key, since there is nothing in them; what they ask of the server needs it as always.
 * Each file has a route of its own, so that no path leads anywhere else.
 */
public final class PageRoutes implements RouteGroup {
  private static final String BELOW = "/assets/";

  /** All there are, by their place in the jar's folder of pages. */
  static final List<String> ASSETS =
      List.of(
          "answer.js",
          "api.js",
          "chart.js",
          "chat.js",
          "dashboard.js",
          "icon.svg",
          "markdown.js",
          "math.js",
          "metrics.js",
          "page.css",
          "settings.js",
          "theme.js",
          "turn.js",
          "vendor/Temml-Local.css",
          "vendor/Temml.woff2",
          "vendor/marked.esm.js",
          "vendor/purify.min.js",
          "vendor/temml.min.js",
          "vendor/marked.LICENSE.txt",
          "vendor/purify.LICENSE.txt",
          "vendor/temml.LICENSE.txt");

  @Override
  public void addTo(Router router, HttpServer server) {
    router
        .openGet("/", new PageFile("index.html"))
        .openGet("/dashboard", new PageFile("dashboard.html"));
    for (String name : ASSETS) {
      router.openGet(BELOW + name, new PageFile(name));
    }
  }
}
