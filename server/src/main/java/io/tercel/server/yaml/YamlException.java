package io.tercel.server.yaml;

/** A file that isn't as it should be; the message is one line that says where and what to do. */
public final class YamlException extends RuntimeException {
  private static final long serialVersionUID = 1;

  public YamlException(String message) {
    super(message, null, false, false);
  }
}
