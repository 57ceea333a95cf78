package io.tercel.server.call;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class ClientWatchTest {

  /** Each move lasts most of the silence; all of them last many times as long. */
  @Test
  void slowClient_isNotSilent() throws Exception {
    ClientWatch watch = new ClientWatch(Duration.ofMillis(400));
    AtomicInteger taken = new AtomicInteger();
    Thread client =
        Thread.ofVirtual()
            .start(
                () -> {
                  for (int i = 0; i < 12; i++) {
                    try {
                      TimeUnit.MILLISECONDS.sleep(100); // the client's pace, not a proof
                    } catch (InterruptedException e) {
                      throw new IllegalStateException(e);
                    }
                    taken.incrementAndGet();
                    watch.moved();
                  }
                });
    watch.await(() -> taken.get() == 12);
    assertEquals(12, taken.get());
    client.join();
  }

  @Test
  void silentClient_isGivenUp() {
    ClientWatch watch = new ClientWatch(Duration.ofMillis(20));
    ClientGoneException e = assertThrows(ClientGoneException.class, () -> watch.await(() -> false));
    assertTrue(String.valueOf(e.getMessage()).contains("did not read"), e.getMessage());
  }

  @Test
  void leaving_wakesWhoeverWaits_andRunsCallbacksOnce() throws Exception {
    ClientWatch watch = new ClientWatch(Duration.ofMinutes(1));
    AtomicInteger calls = new AtomicInteger();
    watch.whenGone(calls::incrementAndGet);
    CompletableFuture<Void> waiting = CompletableFuture.runAsync(() -> watch.await(() -> false));
    watch.left();
    watch.left();
    assertThrows(Exception.class, () -> waiting.get(10, TimeUnit.SECONDS));
    assertEquals(1, calls.get());
    watch.whenGone(calls::incrementAndGet); // at once, since it is gone
    assertEquals(2, calls.get());
    assertThrows(ClientGoneException.class, () -> watch.await(() -> true));
  }
}
