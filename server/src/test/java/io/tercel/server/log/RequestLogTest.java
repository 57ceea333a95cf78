package io.tercel.server.log;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.tercel.server.call.CallObserver;
import io.tercel.server.call.CallRecord;
import io.tercel.server.call.Json;
import io.tercel.server.testing.TestServer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The log's file, and that nobody waits for it. */
class RequestLogTest {
  @TempDir Path folder;

  private static CallRecord call(String id) {
    CallRecord call = new CallRecord("http", id, CallObserver.NONE);
    call.goesTo("/v1/completions", true);
    call.status("200");
    call.end();
    return call;
  }

  private static List<String> ids(Path file) throws IOException {
    List<String> ids = new ArrayList<>();
    for (String line : Files.readAllLines(file)) {
      JsonNode json = Json.MAPPER.readTree(line);
      ids.add(json.path("request_id").asText());
    }
    return ids;
  }

  private static void await(RequestLog log, long lines) throws InterruptedException {
    TestServer.await(lines + " lines", () -> log.lines() == lines);
  }

  @Test
  void movedFile_isBegunAnew_cutFileGoesOn() throws Exception {
    Path file = folder.resolve("requests.jsonl");
    Files.writeString(file, "{\"request_id\": \"before\"}\n");
    try (RequestLog log = RequestLog.to(file)) {
      log.ended(call("a"));
      await(log, 1);
      assertEquals(List.of("before", "a"), ids(file));
      Path moved = Files.move(file, folder.resolve("requests.jsonl.1"));
      log.ended(call("b"));
      await(log, 2);
      assertEquals(List.of("b"), ids(file));
      assertEquals(List.of("before", "a"), ids(moved));
      Files.newOutputStream(file, StandardOpenOption.TRUNCATE_EXISTING).close();
      log.ended(call("c"));
      await(log, 3);
      assertEquals(List.of("c"), ids(file));
      Files.delete(file);
      log.ended(call("d"));
      await(log, 4);
      assertEquals(List.of("d"), ids(file));
      assertEquals(0, log.dropped());
    }
  }

  @Test
  void close_writesWhatWaits() throws Exception {
    Path file = folder.resolve("requests.jsonl");
    try (RequestLog log = RequestLog.to(file)) {
      for (int i = 0; i < 1000; i++) {
        log.ended(call("r" + i));
      }
    }
    assertEquals(1000, ids(file).size());
    assertEquals("r999", ids(file).getLast());
  }

  /** A disk that takes nothing holds up nobody. */
  @Test
  void whatIsTooMuch_isDroppedAndCounted() throws Exception {
    CountDownLatch writing = new CountDownLatch(1);
    Semaphore disk = new Semaphore(0);
    LogSink stuck =
        new LogSink() {
          @Override
          public void write(byte[] lines) {
            writing.countDown();
            disk.acquireUninterruptibly();
          }

          @Override
          public void close() {}
        };
    try (RequestLog log = new RequestLog(stuck, 10)) {
      log.ended(call("first"));
      writing.await();
      for (int i = 0; i < 25; i++) {
        log.ended(call("r" + i)); // on this thread, which would stand still
      }
      assertEquals(15, log.dropped());
      disk.release(1000);
      TestServer.await("the rest", () -> log.lines() == 11);
    }
  }

  @Test
  void diskThatFails_losesLines_untilItWorksAgain() throws Exception {
    AtomicBoolean full = new AtomicBoolean(true);
    LogSink sink =
        new LogSink() {
          @Override
          public void write(byte[] lines) throws IOException {
            if (full.get()) {
              throw new IOException("no space left");
            }
          }

          @Override
          public void close() {}
        };
    try (RequestLog log = new RequestLog(sink, 10)) {
      log.ended(call("a"));
      TestServer.await("lost", () -> log.dropped() == 1);
      full.set(false);
      log.ended(call("b"));
      TestServer.await("written", () -> log.lines() == 1);
    }
  }

  @Test
  void whatAskedForNothing_hasNoLine() {
    CallRecord probe = new CallRecord("http", "p", CallObserver.NONE);
    probe.goesTo("/metrics", false);
    probe.status("200");
    probe.end();
    assertFalse(RequestLine.isFor(probe));
    CallRecord refused = new CallRecord("http", "p", CallObserver.NONE);
    refused.goesTo("/metrics", false);
    refused.error("invalid_api_key");
    refused.end();
    assertTrue(RequestLine.isFor(refused));
  }
}
