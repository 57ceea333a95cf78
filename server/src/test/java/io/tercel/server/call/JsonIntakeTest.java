package io.tercel.server.call;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class JsonIntakeTest {
  /** At least as many as virtual threads have carriers. */
  private static final int READERS = 2 * Runtime.getRuntime().availableProcessors() + 2;

  private static byte[] body(int length) {
    return ("{\"a\": \"" + "x".repeat(Math.max(0, length - 9)) + "\"}")
        .getBytes(StandardCharsets.UTF_8);
  }

  /** Computes, as a tokenizer does: neither waits nor lets go of its thread. */
  private static boolean spin(CountDownLatch until, CountDownLatch started) {
    started.countDown();
    while (until.getCount() > 0) {
      Thread.onSpinWait();
    }
    return Thread.currentThread().isVirtual();
  }

  private static FutureTask<Boolean> read(
      JsonIntake intake, int length, CountDownLatch until, CountDownLatch started) {
    FutureTask<Boolean> task =
        new FutureTask<>(() -> intake.read(body(length), tree -> spin(until, started)));
    Thread.ofVirtual().start(task);
    return task;
  }

  /**
   * While as many requests as there are carriers, and more, are being read, another virtual thread
   * still gets on: would one reader compute on a carrier, all of them would, and the latch would
   * stay up.
   */
  @ParameterizedTest
  @ValueSource(ints = {1000, 1 << 20})
  void reading_takesNoCarrier(int length) throws Exception {
    JsonIntake intake = new JsonIntake();
    CountDownLatch release = new CountDownLatch(1);
    CountDownLatch started = new CountDownLatch(1);
    CountDownLatch progress = new CountDownLatch(100);
    List<FutureTask<Boolean>> readers = new ArrayList<>();
    try {
      for (int i = 0; i < READERS; i++) {
        readers.add(read(intake, length, release, started));
      }
      assertTrue(started.await(30, TimeUnit.SECONDS));
      Thread.ofVirtual()
          .start(
              () -> {
                for (int i = 0; i < 100; i++) {
                  progress.countDown();
                  Thread.yield(); // as a stream that waits for its next token
                }
              });
      assertTrue(progress.await(30, TimeUnit.SECONDS), "no virtual thread gets on");
      assertTrue(readers.stream().noneMatch(FutureTask::isDone));
    } finally {
      release.countDown();
    }
    for (FutureTask<Boolean> reader : readers) {
      assertFalse(reader.get(30, TimeUnit.SECONDS), "it was read on a virtual thread");
    }
  }

  /** Each of the large ones takes all the room, so they come one by one, in their order. */
  @Test
  void smallOnes_passByLargeOnes() throws Exception {
    JsonIntake intake = new JsonIntake();
    CountDownLatch release = new CountDownLatch(1);
    CountDownLatch started = new CountDownLatch(1);
    FutureTask<Boolean> first = read(intake, 9 << 20, release, started);
    FutureTask<Boolean> second = read(intake, 9 << 20, release, started);
    try {
      assertTrue(started.await(30, TimeUnit.SECONDS));
      assertEquals(1000, intake.read(body(1000), ObjectNode::toString).length() + 1);
      assertFalse(first.isDone() || second.isDone());
    } finally {
      release.countDown();
    }
    assertFalse(first.get(30, TimeUnit.SECONDS));
    assertFalse(second.get(30, TimeUnit.SECONDS));
  }

  @Test
  void refusals_comeAsTheyAre() {
    JsonIntake intake = new JsonIntake();
    assertThrows(ApiException.class, () -> intake.read(new byte[] {'['}, tree -> 1));
    ApiException thrown = ApiException.missing("x");
    assertEquals(
        thrown,
        assertThrows(
            ApiException.class,
            () ->
                intake.read(
                    body(10),
                    tree -> {
                      throw thrown;
                    })));
    assertThrows(
        StackOverflowError.class,
        () ->
            intake.read(
                body(10),
                tree -> {
                  throw new StackOverflowError();
                }));
  }

  /** What waits is bounded, and what is too much is told to come again. */
  @Test
  void tooManyWaiting_are429() throws Exception {
    JsonIntake intake = new JsonIntake();
    CountDownLatch release = new CountDownLatch(1);
    List<FutureTask<Boolean>> readers = new ArrayList<>();
    int refused = 0;
    try {
      for (int i = 0; i < 1100; i++) {
        readers.add(read(intake, 10, release, new CountDownLatch(1)));
      }
    } finally {
      while (readers.stream().noneMatch(FutureTask::isDone)) {
        Thread.onSpinWait(); // the refused ones end by themselves
      }
      release.countDown();
    }
    for (FutureTask<Boolean> reader : readers) {
      try {
        var unused = reader.get(30, TimeUnit.SECONDS);
      } catch (ExecutionException e) {
        assertEquals(429, assertInstanceOf(ApiException.class, e.getCause()).status());
        refused++;
      }
    }
    assertTrue(refused > 0 && refused < 100, "refused: " + refused);
  }
}
