package io.tercel.server.hub;

import java.io.IOException;
import java.io.InputStream;
import java.net.ProxySelector;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.Locale;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * Requests to the hub for one repository. Redirects are followed by hand, since the token goes to
 * the hub's own host and no further. A final refusal is a {@link HubException}; what may pass is an
 * {@link IOException}. Proxies come from the JVM's properties ({@code -Dhttps.proxyHost}).
 */
final class HubHttp implements AutoCloseable {
  private static final int MAX_REDIRECTS = 8;
  private static final Duration CONNECT = Duration.ofSeconds(20);
  private static final Duration HEADERS = Duration.ofSeconds(60);

  private final HubConfig config;
  private final HubRepo repo;
  private final HttpClient client;

  HubHttp(HubConfig config, HubRepo repo) {
    this.config = config;
    this.repo = repo;
    HttpClient.Builder builder =
        HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .connectTimeout(CONNECT)
            .followRedirects(HttpClient.Redirect.NEVER);
    ProxySelector proxies = ProxySelector.getDefault();
    this.client = (proxies == null ? builder : builder.proxy(proxies)).build();
  }

  /** The whole body of a small answer. */
  byte[] get(String path, int maxBytes) throws IOException {
    HttpResponse<InputStream> response = send("GET", uri(path), null);
    try (InputStream body = response.body();
        StallGuard _ = new StallGuard(body)) {
      byte[] bytes = body.readNBytes(maxBytes + 1);
      if (bytes.length > maxBytes) {
        throw new HubException(repo + ": the hub's answer is longer than " + maxBytes + " bytes");
      }
      return bytes;
    }
  }

  /** An answer whose body the caller reads and closes; status 200, 206 or 416. */
  HttpResponse<InputStream> open(String path, long from) throws IOException {
    return send("GET", uri(path), from > 0 ? "bytes=" + from + "-" : null);
  }

  /**
   * What a file is, without its content. The hub's own headers count, not those of the store that
   * it may redirect to.
   */
  RemoteFile head(String name, String path, String commit) throws IOException {
    HttpResponse<InputStream> response = send("HEAD", uri(path), null);
    response.body().close();
    String at = response.headers().firstValue("x-repo-commit").orElse(commit);
    if (!at.equals(commit)) {
      throw new HubException(
          "%s: the hub answered %s for commit %s with commit %s; try again"
              .formatted(repo, name, commit, HubListing.shown(at)));
    }
    String etag =
        response
            .headers()
            .firstValue("x-linked-etag")
            .or(() -> response.headers().firstValue("etag"))
            .map(HubHttp::bare)
            .orElse("");
    OptionalLong size = response.headers().firstValueAsLong("x-linked-size");
    if (size.isEmpty()) {
      size = response.headers().firstValueAsLong("content-length");
    }
    if (!RemoteFile.ETAG.matcher(etag).matches() || size.isEmpty() || size.getAsLong() < 0) {
      throw new HubException(
          "%s: the hub doesn't say the etag and size of %s; is HF_ENDPOINT a hub?"
              .formatted(repo, name));
    }
    return new RemoteFile(name, etag, size.getAsLong());
  }

  private static String bare(String etag) {
    return (etag.startsWith("W/") ? etag.substring(2) : etag).replace("\"", "");
  }

  private URI uri(String path) {
    return URI.create(config.endpoint() + path);
  }

  private HttpResponse<InputStream> send(String method, URI start, @Nullable String range)
      throws IOException {
    URI uri = start;
    for (int hop = 0; hop <= MAX_REDIRECTS; hop++) {
      HttpResponse<InputStream> response = exchange(method, uri, range);
      int status = response.statusCode();
      if (status == 200 || status == 206 || status == 416) {
        return response;
      }
      boolean redirect = status >= 301 && status <= 308 && status != 304;
      if (!redirect) {
        response.body().close();
        throw refusal(response, uri);
      }
      if (method.equals("HEAD") && response.headers().firstValue("x-linked-etag").isPresent()) {
        return response;
      }
      response.body().close();
      uri = redirected(uri, response.headers().firstValue("location").orElse(""));
    }
    throw new HubException(repo + ": the hub redirects in circles");
  }

  private URI redirected(URI from, String location) {
    try {
      URI to = from.resolve(location);
      boolean web = "http".equals(to.getScheme()) || "https".equals(to.getScheme());
      boolean weaker = "https".equals(from.getScheme()) && "http".equals(to.getScheme());
      if (!location.isEmpty() && web && !weaker && to.getHost() != null) {
        return to;
      }
    } catch (IllegalArgumentException e) {
      // Said below.
    }
    throw new HubException(
        repo + ": refused, since the hub redirects to " + HubListing.shown(location));
  }

  private HttpResponse<InputStream> exchange(String method, URI uri, @Nullable String range)
      throws IOException {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(uri)
            .method(method, HttpRequest.BodyPublishers.noBody())
            .timeout(HEADERS)
            .header("user-agent", "tercel/0.1")
            .header("accept-encoding", "identity");
    if (range != null) {
      request.header("range", range);
    }
    if (config.token() != null && sameOrigin(config.endpoint(), uri)) {
      request.header("authorization", "Bearer " + config.token());
    }
    try {
      return client.send(request.build(), HttpResponse.BodyHandlers.ofInputStream());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new HubException("interrupted; the same command goes on where it stopped", e);
    }
  }

  static boolean sameOrigin(URI a, URI b) {
    return a.getScheme().equals(b.getScheme())
        && a.getHost().toLowerCase(Locale.ROOT).equals(b.getHost().toLowerCase(Locale.ROOT))
        && port(a) == port(b);
  }

  private static int port(URI uri) {
    return uri.getPort() >= 0 ? uri.getPort() : "https".equals(uri.getScheme()) ? 443 : 80;
  }

  /** Answers what may pass by itself, and throws what may not. */
  private TransientHubException refusal(HttpResponse<?> response, URI uri) {
    int status = response.statusCode();
    String code = response.headers().firstValue("x-error-code").orElse("");
    String page = config.endpoint() + "/" + repo.kind().path + repo.id();
    if (status == 429 || status == 408 || status >= 500) {
      return new TransientHubException(
          "the hub answered " + status + (status == 429 ? " (too many requests)" : ""),
          retryAfter(response));
    }
    if (code.equals("RevisionNotFound")) {
      throw new HubException(
          "%s has no revision %s: give a branch, tag or commit of %s"
              .formatted(repo.id(), repo.revision(), page));
    }
    if (code.equals("GatedRepo") || status == 403) {
      throw new HubException(
          "%s is gated: accept its terms at %s and set HF_TOKEN to a token of that account%s"
              .formatted(
                  repo.id(), page, config.token() == null ? "" : " (the one that is set may not)"));
    }
    if (status == 401 && config.token() == null) {
      throw new HubException(
          "%s doesn't exist, or is private or gated: check the name at %s, or set HF_TOKEN"
              .formatted(repo.id(), page));
    }
    if (status == 401) {
      throw new HubException(
          "%s: the hub refuses the token: it is wrong or expired, or the name is; see %s"
              .formatted(repo.id(), page));
    }
    if (status == 404) {
      throw new HubException(
          "%s: not found: check the name and revision at %s".formatted(repo, page));
    }
    throw new HubException(
        "%s: %s answered %d; is HF_ENDPOINT a hub?".formatted(repo, uri.getHost(), status));
  }

  private static Duration retryAfter(HttpResponse<?> response) {
    String value = response.headers().firstValue("retry-after").orElse("");
    return value.matches("\\d{1,6}") ? Duration.ofSeconds(Long.parseLong(value)) : Duration.ZERO;
  }

  @Override
  public void close() {
    client.shutdownNow();
  }
}
