package io.tercel.server.http;

import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import io.netty.handler.ssl.SslProvider;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import javax.net.ssl.SSLException;

/**
 * A certificate and its key, for serving without a proxy in front: TLS 1.2 and 1.3 by the JDK. They
 * are read once; a renewed certificate needs a restart, which a proxy would spare.
 */
public final class Tls {
  private final Path certificates;
  private final Path key;
  private final SslContext http;

  private Tls(Path certificates, Path key) throws SSLException {
    this.certificates = certificates;
    this.key = key;
    this.http = builder().build();
  }

  /**
   * Reads the files.
   *
   * @param certificates PEM, the server's own first, then those between it and the root
   * @param key PEM, PKCS #8, without a password
   * @throws IOException in one line that names the file and the fix
   */
  public static Tls load(Path certificates, Path key) throws IOException {
    for (Path file : new Path[] {certificates, key}) {
      if (!Files.isReadable(file)) {
        throw new IOException("TLS: can't read " + file);
      }
    }
    try {
      return new Tls(certificates, key);
    } catch (SSLException | IllegalArgumentException e) {
      throw new IOException(
          ("TLS: %s must hold PEM certificates and %s their private key in PKCS #8, unencrypted"
                  + " (openssl pkcs8 -topk8 -nocrypt makes one): %s")
              .formatted(certificates, key, reason(e)),
          e);
    }
  }

  private static String reason(Throwable e) {
    Throwable at = e;
    while (at.getCause() != null) {
      at = at.getCause();
    }
    return String.valueOf(at.getMessage());
  }

  /** For HTTP/1.1. */
  SslContext http() {
    return http;
  }

  /** For another protocol. */
  public SslContextBuilder builder() {
    return SslContextBuilder.forServer(certificates.toFile(), key.toFile())
        .sslProvider(SslProvider.JDK);
  }
}
