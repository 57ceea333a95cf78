package io.tercel.server.http;

import io.tercel.server.call.ApiException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Which handlers answer which path. A GET route answers HEAD too, every route OPTIONS. */
public final class Router {

  /**
   * A path and who answers there.
   *
   * @param pattern the path, or what all paths of it begin with and a star
   * @param handlers by the methods GET, POST and DELETE
   * @param open needs no key
   * @param bodyOptional takes no body for an empty object
   */
  record Route(String pattern, Map<String, Handler> handlers, boolean open, boolean bodyOptional) {
    /** Who answers a method; null where nobody does. */
    @Nullable Handler handler(String method) {
      return handlers.get(method.equals("HEAD") ? "GET" : method);
    }

    /** Who answers a method that is allowed. */
    Handler answering(String method) {
      Handler handler = handler(method);
      return handler == null ? exchange -> exchange.options(this) : handler;
    }

    String allow() {
      List<String> all = new ArrayList<>();
      for (String method : handlers.keySet()) {
        all.add(method);
        if (method.equals("GET")) {
          all.add("HEAD");
        }
      }
      all.add("OPTIONS");
      return String.join(", ", all);
    }
  }

  private final Map<String, Route> exact = new LinkedHashMap<>();
  private final Map<String, Route> prefixes = new LinkedHashMap<>();
  private final Map<String, ErrorFormat> errorPaths = new LinkedHashMap<>();
  private final Map<String, ErrorFormat> errorHeaders = new LinkedHashMap<>();

  public Router get(String path, Handler handler) {
    exact.put(path, new Route(path, Map.of("GET", handler), false, false));
    return this;
  }

  /** A route that needs no key. */
  public Router openGet(String path, Handler handler) {
    exact.put(path, new Route(path, Map.of("GET", handler), true, false));
    return this;
  }

  /** A route for everything below a path that ends in a slash. */
  public Router getBelow(String prefix, Handler handler) {
    prefixes.put(prefix, new Route(prefix + "*", Map.of("GET", handler), false, false));
    return this;
  }

  /** Routes to read and to remove everything below a path that ends in a slash. */
  public Router getAndDeleteBelow(String prefix, Handler get, Handler delete) {
    Map<String, Handler> both = new LinkedHashMap<>();
    both.put("GET", get);
    both.put("DELETE", delete);
    prefixes.put(prefix, new Route(prefix + "*", both, false, false));
    return this;
  }

  public Router post(String path, Handler handler) {
    exact.put(path, new Route(path, Map.of("POST", handler), false, false));
    return this;
  }

  /** A route for commands: one that needs no fields needs no body. */
  public Router command(String path, Handler handler) {
    exact.put(path, new Route(path, Map.of("POST", handler), false, true));
    return this;
  }

  /**
   * Errors of a path and of all below it have a form of their own, whether a route is there or not.
   */
  public Router errorsBelow(String path, ErrorFormat format) {
    errorPaths.put(path, format);
    return this;
  }

  /** Errors have a form of their own wherever a request carries the header. */
  public Router errorsWhereSent(String header, ErrorFormat format) {
    errorHeaders.put(header, format);
    return this;
  }

  /** How what goes wrong with a request is written. */
  ErrorFormat errors(RequestHead head, ErrorFormat otherwise) {
    for (var entry : errorPaths.entrySet()) {
      if (head.path().equals(entry.getKey()) || head.path().startsWith(entry.getKey() + "/")) {
        return entry.getValue();
      }
    }
    for (var entry : errorHeaders.entrySet()) {
      if (head.headers().contains(entry.getKey())) {
        return entry.getValue();
      }
    }
    return otherwise;
  }

  @Nullable Route find(String path) {
    Route route = exact.get(path);
    if (route != null) {
      return route;
    }
    for (var entry : prefixes.entrySet()) {
      if (path.length() > entry.getKey().length() && path.startsWith(entry.getKey())) {
        return entry.getValue();
      }
    }
    return null;
  }

  /**
   * The route for a method and a path.
   *
   * @throws ApiException 404 or 405
   */
  Route require(String method, String path) {
    Route route = find(path);
    if (route == null) {
      throw ApiException.unknownRoute(method, path);
    }
    if (!method.equals("OPTIONS") && route.handler(method) == null) {
      throw ApiException.methodNotAllowed(method, path, route.allow());
    }
    return route;
  }
}
