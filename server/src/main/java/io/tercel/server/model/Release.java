package io.tercel.server.model;

/** Which Tercel this is. */
public final class Release {
  /** As answers and {@code tercel --version} say it. */
  public static final String VERSION = "0.1.0";

  private Release() {}
}
