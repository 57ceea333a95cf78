package io.tercel.server.openai.wire;

import io.tercel.server.call.ApiException;
import org.jspecify.annotations.Nullable;

/** The one shape of every error. */
public record ErrorBody(Detail error) {

  /** What OpenAI's clients read of an error. */
  public static ErrorBody of(ApiException e) {
    String type =
        switch (e.status()) {
          case 429 -> "rate_limit_error";
          case 500, 503 -> "server_error";
          default -> "invalid_request_error";
        };
    return new ErrorBody(new Detail(String.valueOf(e.getMessage()), type, e.param(), e.code()));
  }

  /**
   * What went wrong.
   *
   * @param param the request's field, where one is to blame
   */
  public record Detail(
      String message, String type, @Nullable String param, @Nullable String code) {}
}
