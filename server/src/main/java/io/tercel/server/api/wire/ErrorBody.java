package io.tercel.server.api.wire;

import org.jspecify.annotations.Nullable;

/** The one shape of every error. */
public record ErrorBody(Detail error) {

  /**
   * What went wrong.
   *
   * @param param the request's field, where one is to blame
   */
  public record Detail(
      String message, String type, @Nullable String param, @Nullable String code) {}
}
