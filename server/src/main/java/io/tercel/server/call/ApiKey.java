package io.tercel.server.call;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import org.jspecify.annotations.Nullable;

/** A key of the server. Compares digests, so that timing tells neither its bytes nor its length. */
final class ApiKey {
  private final byte[] digest;

  ApiKey(String key) {
    this.digest = sha256(key);
  }

  /**
   * Checks an Authorization header.
   *
   * @throws ApiException 401, if it doesn't carry the key
   */
  void check(@Nullable String authorization) {
    if (authorization == null || !isIn(authorization)) {
      throw ApiException.unauthorized(authorization != null);
    }
  }

  /** Whether an Authorization header carries it. */
  boolean isIn(String authorization) {
    boolean bearer = authorization.regionMatches(true, 0, "Bearer ", 0, 7);
    String given = bearer ? authorization.substring(7).strip() : "";
    return MessageDigest.isEqual(digest, sha256(given));
  }

  private static byte[] sha256(String text) {
    try {
      return MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JDK has SHA-256", e);
    }
  }
}
