package io.tercel.server.cli;

import io.tercel.server.UserException;
import io.tercel.server.model.ModelLocator;
import java.net.URI;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;

/** The options that say which server a command asks: one that runs, or one that it starts. */
public final class ServerChoice {
  /** Where {@code tercel serve} listens if it isn't told otherwise. */
  static final String DEFAULT_URL = "http://127.0.0.1:8000";

  @CommandLine.Option(
      names = "--url",
      paramLabel = "URL",
      description = "A running server. Default: " + DEFAULT_URL + ".")
  private @Nullable String url;

  @CommandLine.Option(
      names = "--model",
      paramLabel = "DIR|ORG/NAME",
      description = "Instead: a model to serve in this process, from a folder or from the hub.")
  private @Nullable String model;

  @CommandLine.Option(
      names = "--api-key",
      paramLabel = "KEY",
      description = "The server's key. Default: $TERCEL_API_KEY.")
  private @Nullable String apiKey;

  /** The server to ask; closing it stops one that was started here. */
  public RunningServer open() {
    if (model != null) {
      if (url != null) {
        throw new UserException("--url and --model: give one of them");
      }
      return LocalServing.start(ModelLocator.locate(model, TerminalProgress::hub));
    }
    return running(url == null ? DEFAULT_URL : url, apiKey);
  }

  /**
   * One that runs.
   *
   * @param given its key; null for the environment's
   */
  static RunningServer running(String url, @Nullable String given) {
    URI address = address(url);
    String key = given == null ? System.getenv("TERCEL_API_KEY") : given;
    return new RunningServer() {
      @Override
      public URI url() {
        return address;
      }

      @Override
      public @Nullable String apiKey() {
        return key == null || key.isBlank() ? null : key;
      }

      @Override
      public void close() {}
    };
  }

  private static URI address(String text) {
    try {
      URI uri = URI.create(text);
      if (("http".equals(uri.getScheme()) || "https".equals(uri.getScheme()))
          && uri.getHost() != null) {
        return uri;
      }
    } catch (IllegalArgumentException e) {
      // Said below.
    }
    throw new UserException("--url: expected an address such as " + DEFAULT_URL + ", not " + text);
  }
}
