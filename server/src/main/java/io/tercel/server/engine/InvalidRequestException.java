package io.tercel.server.engine;

/** A request that can't be run as it is: a 400 that names the field and the fix. */
public final class InvalidRequestException extends RuntimeException {
  private static final long serialVersionUID = 1;
  private final String param;
  private final String code;

  /**
   * @param param the request's field, as the client spells it
   * @param code a machine-readable code such as {@code context_length_exceeded}
   */
  public InvalidRequestException(String param, String code, String message) {
    super(message, null, false, false);
    this.param = param;
    this.code = code;
  }

  public String param() {
    return param;
  }

  public String code() {
    return code;
  }
}
