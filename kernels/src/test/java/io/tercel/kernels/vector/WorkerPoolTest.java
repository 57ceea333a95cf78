package io.tercel.kernels.vector;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(60)
class WorkerPoolTest {

  @ParameterizedTest
  @CsvSource({"1,1", "2,1", "3,1", "5,1", "2,7", "3,7", "3,1000", "3,16"})
  void run_everyUnitExactlyOnce(int size, int grain) {
    try (WorkerPool pool = new WorkerPool(size)) {
      for (int count : new int[] {0, 1, 2, 6, 7, 8, 13, 207, 4098}) {
        AtomicIntegerArray done = new AtomicIntegerArray(count);
        pool.run(
            count,
            grain,
            (from, to, worker) -> {
              assertTrue(0 <= from && from < to && to <= count, from + " to " + to);
              assertTrue(0 <= worker && worker < size);
              for (int i = from; i < to; i++) {
                done.incrementAndGet(i);
              }
            });
        for (int i = 0; i < count; i++) {
          assertEquals(1, done.get(i), "unit " + i + " of " + count);
        }
      }
    }
  }

  @Test
  void run_usesAllThreadsAtOnce() {
    int size = 3;
    try (WorkerPool pool = new WorkerPool(size)) {
      CountDownLatch all = new CountDownLatch(size);
      pool.run(
          size,
          1,
          (_, _, _) -> {
            all.countDown();
            await(all); // nobody comes back before everybody has begun
          });
    }
  }

  /** Plain writes of a job are seen by the caller and by the next job, whoever made them. */
  @ParameterizedTest
  @ValueSource(ints = {2, 3})
  void run_hundredThousandTinyJobs_eachSeesTheLast(int size) {
    int jobs = 100_000;
    int[] byWorkers = new int[size];
    int width = 2 * size;
    int[] plain = new int[width];
    try (WorkerPool pool = new WorkerPool(size)) {
      for (int j = 0; j < jobs; j++) {
        int expected = j;
        pool.run(
            width,
            1,
            (from, to, worker) -> {
              byWorkers[worker] += to - from;
              for (int i = from; i < to; i++) {
                int neighbour = plain[i] + plain[width - 1 - i];
                if (plain[i] != expected || neighbour < 2 * expected) {
                  throw new AssertionError("job " + expected + " saw " + plain[i]);
                }
                plain[i]++;
              }
            });
        if (plain[j % width] != j + 1) {
          throw new AssertionError("the caller saw " + plain[j % width] + " after job " + j);
        }
      }
    }
    assertTrue(byWorkers[0] < jobs * width, "nobody but the caller ever worked");
    assertEquals(jobs * width, Arrays.stream(byWorkers).sum());
  }

  @Test
  void run_afterWorkersParked_wakesThem() throws Exception {
    try (WorkerPool pool = new WorkerPool(3)) {
      for (int round = 0; round < 5; round++) {
        pool.run(3, 1, (_, _, _) -> {});
        for (Thread thread : computeThreads(pool)) {
          long end = System.nanoTime() + Duration.ofSeconds(20).toNanos();
          while (thread.getState() != Thread.State.WAITING && System.nanoTime() < end) {
            Thread.sleep(1);
          }
          assertEquals(Thread.State.WAITING, thread.getState(), "never parked");
        }
        CountDownLatch all = new CountDownLatch(3);
        pool.run(
            3,
            1,
            (_, _, _) -> {
              all.countDown();
              await(all);
            });
      }
    }
  }

  /** Jobs that come just when a worker is about to park. */
  @Test
  void run_atTheMomentOfParking_losesNoWakeUp() {
    try (WorkerPool pool = new WorkerPool(2)) {
      AtomicInteger units = new AtomicInteger();
      for (int i = 0; i < 400; i++) {
        LockSupport.parkNanos(i * 5_000L); // up to 2 ms: around the end of the spinning
        pool.run(2, 1, (from, to, _) -> units.addAndGet(to - from));
      }
      assertEquals(800, units.get());
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3})
  void run_aJobFails_theCallerGetsThatVeryException_andThePoolGoesOn(int size) {
    try (WorkerPool pool = new WorkerPool(size)) {
      for (int unit : new int[] {0, 3, 19}) {
        IllegalArgumentException failure = new IllegalArgumentException("unit " + unit);
        Throwable thrown =
            assertThrows(
                IllegalArgumentException.class,
                () ->
                    pool.run(
                        20,
                        1,
                        (from, _, _) -> {
                          if (from == unit) {
                            throw failure;
                          }
                        }));
        // one thread takes all units at once, beginning with 0
        if (size > 1 || unit == 0) {
          assertSame(failure, thrown);
        }
        assertAlive(pool);
        if (size == 1) {
          return;
        }
      }
    }
  }

  @Test
  void run_aWorkerFails_theCallerGetsIt() {
    try (WorkerPool pool = new WorkerPool(2)) {
      CountDownLatch both = new CountDownLatch(2);
      AssertionError failure = new AssertionError("in a worker");
      AssertionError thrown =
          assertThrows(
              AssertionError.class,
              () ->
                  pool.run(
                      2,
                      1,
                      (_, _, worker) -> {
                        both.countDown();
                        await(both);
                        if (worker == 1) {
                          throw failure;
                        }
                      }));
      assertSame(failure, thrown);
      assertAlive(pool);
    }
  }

  /** The worker's failure must not come out of the next, innocent job. */
  @Test
  void run_callerAndWorkerBothFail_nothingIsLeftBehind() {
    try (WorkerPool pool = new WorkerPool(2)) {
      for (int i = 0; i < 100; i++) {
        CountDownLatch both = new CountDownLatch(2);
        assertThrows(
            IllegalArgumentException.class,
            () ->
                pool.run(
                    2,
                    1,
                    (_, _, _) -> {
                      both.countDown();
                      await(both);
                      throw new IllegalArgumentException("both");
                    }));
        assertAlive(pool);
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"1,4", "2,4", "2,1", "3,50"})
  void run_withinAJob_isRefused(int size, int count) {
    try (WorkerPool pool = new WorkerPool(size)) {
      IllegalStateException refused =
          assertThrows(
              IllegalStateException.class,
              () -> pool.run(count, 1, (_, _, _) -> pool.run(count, 1, (_, _, _) -> {})));
      assertTrue(String.valueOf(refused.getMessage()).contains("nest"), refused.getMessage());
      assertAlive(pool);
    }
  }

  @Test
  void run_fromTwoThreads_isRefused() throws Exception {
    try (WorkerPool pool = new WorkerPool(2)) {
      AtomicReference<Throwable> refused = new AtomicReference<>();
      pool.run(
          1,
          1,
          (_, _, _) -> {
            Thread other =
                Thread.ofPlatform()
                    .start(
                        () ->
                            refused.set(
                                assertThrows(
                                    IllegalStateException.class,
                                    () -> pool.run(9, 1, (_, _, _) -> {}))));
            join(other);
          });
      assertTrue(refused.get() instanceof IllegalStateException, "" + refused.get());
    }
  }

  @Test
  void close_whileIdle_endsTheThreads_andTwiceIsOnce() throws Exception {
    WorkerPool pool = new WorkerPool(3);
    assertAlive(pool);
    List<Thread> threads = computeThreads(pool);
    pool.close();
    pool.close();
    for (Thread thread : threads) {
      assertTrue(thread.join(Duration.ofSeconds(20)), "still alive: " + thread);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void run_afterClose_isRefusedInsteadOfWaitingForEver(int size) {
    WorkerPool pool = new WorkerPool(size);
    pool.close();
    for (int count : new int[] {1, 10}) {
      IllegalStateException refused =
          assertThrows(IllegalStateException.class, () -> pool.run(count, 1, (_, _, _) -> {}));
      assertTrue(String.valueOf(refused.getMessage()).contains("closed"), refused.getMessage());
    }
  }

  @Test
  void close_withinAJob_isRefused() {
    try (WorkerPool pool = new WorkerPool(2)) {
      AtomicBoolean after = new AtomicBoolean();
      assertThrows(
          IllegalStateException.class,
          () ->
              pool.run(
                  4,
                  1,
                  (_, _, _) -> {
                    pool.close();
                    after.set(true);
                  }));
      assertFalse(after.get());
      assertAlive(pool);
    }
  }

  private static void assertAlive(WorkerPool pool) {
    AtomicInteger units = new AtomicInteger();
    pool.run(100, 3, (from, to, _) -> units.addAndGet(to - from));
    assertEquals(100, units.get());
  }

  /** The pool's own threads, learned by keeping each of them in a job. */
  private static List<Thread> computeThreads(WorkerPool pool) {
    CountDownLatch all = new CountDownLatch(pool.size());
    Thread[] found = new Thread[pool.size()];
    pool.run(
        pool.size(),
        1,
        (_, _, worker) -> {
          found[worker] = Thread.currentThread();
          all.countDown();
          await(all);
        });
    List<Thread> threads = new ArrayList<>(List.of(found));
    threads.removeFirst();
    return threads;
  }

  private static void await(CountDownLatch latch) {
    try {
      assertTrue(latch.await(20, TimeUnit.SECONDS), "the others never began");
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  private static void join(Thread thread) {
    try {
      thread.join();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }
}
