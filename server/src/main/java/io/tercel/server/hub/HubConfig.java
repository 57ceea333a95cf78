package io.tercel.server.hub;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Where the hub and its cache are, in the variables that Hugging Face's own tools read: {@code
 * HF_HOME}, {@code HF_HUB_CACHE}, {@code HF_ENDPOINT}, {@code HF_TOKEN} (or the file {@code
 * HF_TOKEN_PATH}, {@code $HF_HOME/token} by default) and {@code HF_HUB_OFFLINE}.
 *
 * @param cache the folder of {@code models--ORG--NAME} folders
 * @param endpoint the hub's address, without a slash at its end
 * @param token sent to the endpoint's own host and to no other; null for none
 * @param offline whether the network is not to be used
 */
public record HubConfig(Path cache, URI endpoint, @Nullable String token, boolean offline) {
  private static final Set<String> YES = Set.of("1", "on", "yes", "true");

  /** The settings of an environment. */
  public static HubConfig of(Map<String, String> environment, Path userHome) {
    String home = value(environment, "HF_HOME");
    String xdg = value(environment, "XDG_CACHE_HOME");
    Path hfHome =
        home != null
            ? path(home, userHome)
            : (xdg != null ? path(xdg, userHome) : userHome.resolve(".cache"))
                .resolve("huggingface");
    String cache = value(environment, "HF_HUB_CACHE");
    return new HubConfig(
        cache != null ? path(cache, userHome) : hfHome.resolve("hub"),
        endpoint(value(environment, "HF_ENDPOINT")),
        token(environment, hfHome, userHome),
        YES.contains(environment.getOrDefault("HF_HUB_OFFLINE", "").toLowerCase(Locale.ROOT)));
  }

  /** The settings of this process. */
  public static HubConfig ofProcess() {
    return of(System.getenv(), Path.of(System.getProperty("user.home")));
  }

  private static @Nullable String value(Map<String, String> environment, String name) {
    String value = environment.get(name);
    return value == null || value.isBlank() ? null : value.strip();
  }

  private static Path path(String value, Path userHome) {
    if (value.equals("~")) {
      return userHome;
    }
    return value.startsWith("~/") ? userHome.resolve(value.substring(2)) : Path.of(value);
  }

  private static URI endpoint(@Nullable String value) {
    String text = value == null ? "https://huggingface.co" : value.replaceAll("/+$", "");
    try {
      URI uri = URI.create(text);
      if (("http".equals(uri.getScheme()) || "https".equals(uri.getScheme()))
          && uri.getHost() != null
          && uri.getRawUserInfo() == null) {
        return uri;
      }
    } catch (IllegalArgumentException e) {
      // Said below.
    }
    throw new HubException(
        "HF_ENDPOINT: expected an address such as https://huggingface.co, not " + text);
  }

  private static @Nullable String token(
      Map<String, String> environment, Path hfHome, Path userHome) {
    String token = value(environment, "HF_TOKEN");
    if (token == null) {
      String file = value(environment, "HF_TOKEN_PATH");
      Path path = file == null ? hfHome.resolve("token") : path(file, userHome);
      try {
        token = Files.isRegularFile(path) ? Files.readString(path).strip() : "";
      } catch (IOException e) {
        throw new HubException(path + ": the token can't be read: " + e.getMessage(), e);
      }
    }
    if (token.isEmpty()) {
      return null;
    }
    if (!token.chars().allMatch(c -> c > ' ' && c < 0x7f)) {
      throw new HubException("HF_TOKEN: a token has no blanks and no letters beyond ASCII");
    }
    return token;
  }

  /** Never prints the token. */
  @Override
  public String toString() {
    return "HubConfig[%s, cache %s, %s%s]"
        .formatted(
            endpoint,
            cache,
            token == null ? "no token" : "with a token",
            offline ? ", offline" : "");
  }
}
