package io.tercel.kernels.format;

import org.jspecify.annotations.Nullable;

/**
 * A checkpoint that cannot be used. Its message is one line that names the file, the field or
 * tensor, what was found and what is expected; what came from the file is cleaned of control
 * characters and cut.
 */
public final class CheckpointException extends RuntimeException {
  private static final long serialVersionUID = 1L;
  private static final int MAX_MESSAGE = 1000;

  private final String line;

  public CheckpointException(String message) {
    this(message, null);
  }

  public CheckpointException(String message, @Nullable Throwable cause) {
    super(message, cause);
    this.line = oneLine(message);
  }

  @Override
  public String getMessage() {
    return line;
  }

  private static String oneLine(String text) {
    StringBuilder line = new StringBuilder(Math.min(text.length(), MAX_MESSAGE));
    for (int i = 0; i < text.length() && line.length() < MAX_MESSAGE; i++) {
      char c = text.charAt(i);
      line.append(Character.isISOControl(c) || c == '\u2028' || c == '\u2029' ? '?' : c);
    }
    return line.toString();
  }
}
