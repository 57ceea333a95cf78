package io.tercel.kernels.memory;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntConsumer;
import java.util.function.Supplier;

/**
 * Cuts the filling of one matrix into numbered pieces for a few platform threads. Nothing depends
 * on which thread fills which piece, so the result is the same for any number of them.
 */
final class RowTasks implements AutoCloseable {
  private final ExecutorService executor;
  private final int threads;

  RowTasks(int threads) {
    this.threads = threads;
    this.executor =
        Executors.newFixedThreadPool(
            threads, Thread.ofPlatform().daemon().name("weights-", 0).factory());
  }

  /**
   * Runs pieces 0 to count - 1 and waits for all of them, also when one fails, so that the caller
   * may free what they write to.
   *
   * @param worker makes what one thread uses for its pieces
   */
  void forEach(int count, Supplier<IntConsumer> worker) {
    AtomicInteger next = new AtomicInteger();
    List<Callable<Void>> tasks = new ArrayList<>();
    for (int t = 0; t < Math.min(threads, count); t++) {
      tasks.add(
          () -> {
            IntConsumer fill = worker.get();
            try {
              for (int i = next.getAndIncrement(); i < count; i = next.getAndIncrement()) {
                fill.accept(i);
              }
            } catch (Throwable failure) {
              next.set(count);
              throw failure;
            }
            return null;
          });
    }
    await(tasks);
  }

  private void await(List<Callable<Void>> tasks) {
    try {
      for (Future<Void> done : executor.invokeAll(tasks)) {
        done.get();
      }
    } catch (InterruptedException e) {
      drain();
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while loading weights", e);
    } catch (ExecutionException e) {
      switch (e.getCause()) {
        case RuntimeException failure -> throw failure;
        case Error failure -> throw failure;
        case null, default -> throw new IllegalStateException(e);
      }
    }
  }

  /** Lets running pieces end before their memory goes. */
  private void drain() {
    executor.close();
  }

  @Override
  public void close() {
    executor.close();
  }
}
