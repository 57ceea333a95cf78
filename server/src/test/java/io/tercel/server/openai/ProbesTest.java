package io.tercel.server.openai;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.server.testing.TestServer;
import org.junit.jupiter.api.Test;

/** What an orchestrator sees of a server. */
class ProbesTest {
  /** An error, not an exception of one step: nothing in this process can mend it. */
  @Test
  void failedEngine_isNeitherLiveNorReady() throws Exception {
    try (TestServer server = TestServer.start()) {
      assertEquals(200, server.get("/health").statusCode());
      server.backend.script =
          choice -> {
            throw new OutOfMemoryError("as if");
          };
      assertTrue(server.chat("").statusCode() >= 500);
      TestServer.await("it has failed", server.engine::failed);
      assertEquals(503, server.get("/health").statusCode());
      assertEquals(503, server.get("/ready").statusCode());
      assertEquals(503, server.chat("").statusCode());
    }
  }

  @Test
  void drainingServer_isLiveAndNotReady() throws Exception {
    try (TestServer server = TestServer.start()) {
      assertTrue(server.http.drain());
      assertEquals(200, server.get("/health").statusCode());
      assertEquals(503, server.get("/ready").statusCode());
    }
  }
}
