package io.tercel.server.anthropic;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Base64;
import java.util.zip.DeflaterOutputStream;
import java.util.zip.InflaterInputStream;
import org.jspecify.annotations.Nullable;

/**
 * What goes with a thought to the client and comes back with it: a digest, or the thought itself
 * where its text stays here. It proves nothing and nothing is proved by it: whoever may send a
 * conversation may send any.
 */
final class ThoughtSignature {
  /** Of those that carry a thought; a digest can't begin so, as Base64 has no full stop. */
  private static final String CARRIES = "thought.";

  /** Longer than any context, short enough that what was packed can't fill the heap. */
  private static final int MAX_BYTES = 4 << 20;

  private ThoughtSignature() {}

  /**
   * Of a thought.
   *
   * @param carries whether it brings the thought back
   */
  static String of(String thought, boolean carries) {
    byte[] text = thought.getBytes(StandardCharsets.UTF_8);
    return carries ? CARRIES + base64(packed(text)) : base64(digest(text));
  }

  /**
   * The thought that a client's signature carries; empty where it carries none, null if damaged.
   */
  static @Nullable String thoughtIn(String signature) {
    if (!signature.startsWith(CARRIES)) {
      return "";
    }
    try (InputStream in =
        new InflaterInputStream(
            new ByteArrayInputStream(
                Base64.getDecoder().decode(signature.substring(CARRIES.length()))))) {
      byte[] text = in.readNBytes(MAX_BYTES + 1);
      return text.length > MAX_BYTES ? null : new String(text, StandardCharsets.UTF_8);
    } catch (IOException | IllegalArgumentException e) {
      return null;
    }
  }

  private static String base64(byte[] bytes) {
    return Base64.getEncoder().encodeToString(bytes);
  }

  private static byte[] packed(byte[] text) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (DeflaterOutputStream deflater = new DeflaterOutputStream(out)) {
      deflater.write(text);
    } catch (IOException e) {
      throw new UncheckedIOException(e); // memory has no other way to fail
    }
    return out.toByteArray();
  }

  private static byte[] digest(byte[] text) {
    try {
      return MessageDigest.getInstance("SHA-256").digest(text);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JDK has SHA-256", e);
    }
  }
}
