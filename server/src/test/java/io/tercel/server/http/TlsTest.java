package io.tercel.server.http;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.server.api.PublicRoutes;
import io.tercel.server.testing.RawClient;
import io.tercel.server.testing.TestServer;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.util.Base64;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

public class TlsTest {
  private static final char[] PASSWORD = "changeit".toCharArray();

  @TempDir private static Path dir;
  private static KeyStore store;

  @BeforeAll
  static void makeCertificate() throws Exception {
    store = certificate(dir);
  }

  /** Writes cert.pem and key.pem for 127.0.0.1, signed by itself. */
  public static KeyStore certificate(Path dir) throws Exception {
    Path file = dir.resolve("store.p12");
    Process keytool =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "keytool").toString(),
                "-genkeypair",
                "-alias",
                "it",
                "-keyalg",
                "EC",
                "-dname",
                "CN=127.0.0.1",
                "-ext",
                "SAN=ip:127.0.0.1",
                "-storetype",
                "PKCS12",
                "-keystore",
                file.toString(),
                "-storepass",
                "changeit")
            .redirectErrorStream(true)
            .start();
    String said = new String(keytool.getInputStream().readAllBytes());
    assertEquals(0, keytool.waitFor(), said);
    KeyStore made = KeyStore.getInstance(file.toFile(), PASSWORD);
    pem(dir.resolve("cert.pem"), "CERTIFICATE", made.getCertificate("it").getEncoded());
    pem(dir.resolve("key.pem"), "PRIVATE KEY", made.getKey("it", PASSWORD).getEncoded());
    return made;
  }

  private static void pem(Path file, String what, byte[] der) throws IOException {
    Files.writeString(
        file,
        "-----BEGIN %s-----%n%s%n-----END %s-----%n"
            .formatted(what, Base64.getMimeEncoder().encodeToString(der), what));
  }

  private static HttpClient trusting() throws Exception {
    TrustManagerFactory trust =
        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    KeyStore roots = KeyStore.getInstance(KeyStore.getDefaultType());
    roots.load(null);
    roots.setCertificateEntry("it", store.getCertificate("it"));
    trust.init(roots);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(null, trust.getTrustManagers(), null);
    return HttpClient.newBuilder().sslContext(context).build();
  }

  @Test
  void wholeAndStreamedAnswers() throws Exception {
    Tls tls = Tls.load(dir.resolve("cert.pem"), dir.resolve("key.pem"));
    try (TestServer server = TestServer.start();
        HttpServer secure = new HttpServer(server.secured(tls), new PublicRoutes(server.api));
        HttpClient client = trusting()) {
      secure.start();
      URI uri = URI.create("https://127.0.0.1:" + secure.port() + "/v1/chat/completions");
      for (boolean stream : new boolean[] {false, true}) {
        String body =
            "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}], \"stream\": "
                + stream
                + "}";
        HttpResponse<String> answer =
            client.send(
                HttpRequest.newBuilder(uri)
                    .header("content-type", "application/json")
                    .POST(HttpRequest.BodyPublishers.ofString(body))
                    .build(),
                HttpResponse.BodyHandlers.ofString());
        assertEquals(200, answer.statusCode());
        assertTrue(answer.body().contains("ok!") || stream, answer.body());
        assertTrue(!stream || answer.body().endsWith("data: [DONE]\n\n"), answer.body());
      }
      try (RawClient plain = new RawClient(secure.port())) {
        plain.send(RawClient.get("/health"));
        assertThrows(IOException.class, plain::read, "plain text is refused, not answered");
      }
    }
  }

  @Test
  void badFiles_areNamedWithTheFix() {
    Path cert = dir.resolve("cert.pem");
    IOException missing =
        assertThrows(IOException.class, () -> Tls.load(cert, dir.resolve("none.pem")));
    assertTrue(missing.toString().contains("none.pem"), missing.toString());
    IOException wrong = assertThrows(IOException.class, () -> Tls.load(cert, cert));
    assertTrue(wrong.toString().contains("PKCS #8"), wrong.toString());
  }
}
