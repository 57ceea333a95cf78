package io.tercel.server.page;

import io.tercel.server.http.Exchange;
import io.tercel.server.http.Handler;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A file of the jar, read when it is first asked for and kept. It is tagged with its contents, so a
 * browser that has it asks again and is told 304.
 */
final class PageFile implements Handler {
  /** Everything comes from this server, and no markup may bring a script or a style with it. */
  static final String POLICY =
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
          + " connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none';"
          + " frame-ancestors 'none'";

  private static final Map<String, String> TYPES =
      Map.of(
          "html", "text/html; charset=utf-8",
          "js", "text/javascript; charset=utf-8",
          "css", "text/css; charset=utf-8",
          "svg", "image/svg+xml",
          "txt", "text/plain; charset=utf-8",
          "woff2", "font/woff2");

  private final String name;
  private final String type;
  private volatile @Nullable Content content;

  /**
   * Reads nothing yet.
   *
   * @param name below the folder of pages
   * @throws IllegalArgumentException if its ending is none that has a type
   */
  PageFile(String name) {
    this.name = name;
    String type = TYPES.get(name.substring(name.lastIndexOf('.') + 1));
    if (type == null) {
      throw new IllegalArgumentException("no type for " + name);
    }
    this.type = type;
  }

  /** What it holds, and the entity tag of that. */
  private static final class Content {
    final byte[] bytes;
    final String tag;

    Content(byte[] bytes) {
      this.bytes = bytes;
      try {
        byte[] digest = MessageDigest.getInstance("SHA-256").digest(bytes);
        this.tag = '"' + HexFormat.of().formatHex(digest, 0, 12) + '"';
      } catch (NoSuchAlgorithmException e) {
        throw new IllegalStateException(e); // every JDK has it
      }
    }
  }

  @Override
  public void handle(Exchange exchange) throws IOException {
    Content held = content();
    Map<String, String> headers =
        Map.of(
            "content-type", type,
            "etag", held.tag,
            "content-security-policy", POLICY,
            "x-content-type-options", "nosniff",
            "referrer-policy", "no-referrer",
            "cross-origin-opener-policy", "same-origin",
            "cross-origin-resource-policy", "same-origin");
    if (matches(exchange.header("if-none-match"), held.tag)) {
      exchange.notModified(headers);
    } else {
      exchange.bytes(200, headers, held.bytes);
    }
  }

  /** Whether a list of tags, weak or not, has this one. */
  private static boolean matches(@Nullable String tags, String tag) {
    if (tags == null) {
      return false;
    }
    for (String one : tags.split(",", -1)) {
      String known = one.strip();
      if (known.equals("*") || known.equals(tag) || known.equals("W/" + tag)) {
        return true;
      }
    }
    return false;
  }

  /** Two that read it at once read the same. */
  private Content content() throws IOException {
    Content held = content;
    if (held == null) {
      try (InputStream in = PageFile.class.getResourceAsStream(name)) {
        if (in == null) {
          throw new FileNotFoundException("not in the jar: " + name);
        }
        held = new Content(in.readAllBytes());
      }
      content = held;
    }
    return held;
  }
}
