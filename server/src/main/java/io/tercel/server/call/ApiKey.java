package io.tercel.server.call;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import org.jspecify.annotations.Nullable;

/** A key of the server: its digest, so that timing tells neither its bytes nor its length. */
public final class ApiKey {
  private static final String SCHEME = "Bearer ";
  private static final byte[] NOTHING = sha256("");

  private final byte[] digest;

  private ApiKey(byte[] digest) {
    this.digest = digest;
  }

  /**
   * Of its text.
   *
   * @throws IllegalArgumentException if a header can't carry it
   */
  public static ApiKey of(String key) {
    if (!key.matches("[!-~]+")) {
      throw new IllegalArgumentException("must be of visible ASCII characters");
    }
    return new ApiKey(sha256(key));
  }

  /**
   * Of its text's SHA-256.
   *
   * @throws IllegalArgumentException if these are no 64 hexadecimal digits, or the digest of
   *     nothing
   */
  public static ApiKey ofSha256(String hex) {
    if (!hex.matches("[0-9a-fA-F]{64}")) {
      throw new IllegalArgumentException("must be the 64 hexadecimal digits of a SHA-256");
    }
    ApiKey key = new ApiKey(HexFormat.of().parseHex(hex));
    if (key.matches(NOTHING)) {
      throw new IllegalArgumentException(
          "is the SHA-256 of an empty text, which everybody has; was a variable unset?");
    }
    return key;
  }

  /** The digest of what an Authorization header carries; that of nothing where it carries none. */
  static byte[] given(@Nullable String authorization) {
    return authorization != null && authorization.regionMatches(true, 0, SCHEME, 0, SCHEME.length())
        ? sha256(authorization.substring(SCHEME.length()))
        : NOTHING;
  }

  /** Whether a digest is its own; takes as long either way. */
  boolean matches(byte[] given) {
    return MessageDigest.isEqual(digest, given);
  }

  /** Whether both are of one text. */
  public boolean same(ApiKey other) {
    return matches(other.digest);
  }

  private static byte[] sha256(String text) {
    try {
      return MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JDK has SHA-256", e);
    }
  }
}
