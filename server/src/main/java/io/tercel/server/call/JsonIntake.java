package io.tercel.server.call;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.Semaphore;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * Where bodies become requests: parsed, rendered, tokenized, their forms compiled. All of that
 * computes without a pause, in part in native code, so it happens on a few threads of its own: on a
 * request's virtual thread it would keep a carrier from all others, and two long prompts would hold
 * up every stream.
 *
 * <p>A tree of JSON nodes takes up to twenty times the memory of its text, and a tokenizer takes
 * its share too; so of large bodies only so many bytes are read at once, in the order in which they
 * came, and small ones, which have threads of their own, pass by.
 */
public final class JsonIntake {
  /** Ordinary chats; a thousand of their trees are no trouble. */
  private static final int SMALL = 16 << 10;

  /** Small ones that wait for a thread; HTTP has no more connections. */
  private static final int MAX_WAITING = 1024;

  /**
   * Bytes of large bodies that are read at once; a larger one is read alone. Twenty times as much
   * is a third of the heap.
   */
  private static final int ROOM =
      (int) Math.clamp(Runtime.getRuntime().maxMemory() / 64, 1 << 20, 8 << 20);

  private static final int CORES = Runtime.getRuntime().availableProcessors();

  private final Semaphore room = new Semaphore(ROOM, true);
  private final ThreadPoolExecutor small = threads("intake", Math.clamp(CORES / 2, 2, 8));
  private final ThreadPoolExecutor large = threads("intake-large", Math.clamp(CORES / 4, 1, 4));

  /** Threads that end when they have nothing to do, so that nobody has to close them. */
  private static ThreadPoolExecutor threads(String name, int count) {
    ThreadPoolExecutor threads =
        new ThreadPoolExecutor(
            count,
            count,
            10,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(MAX_WAITING),
            Thread.ofPlatform().daemon().name(name + "-", 0).factory());
    threads.allowCoreThreadTimeOut(true);
    return threads;
  }

  /**
   * Parses a body and makes a request of it; the tree should not outlive the reader.
   *
   * @throws ApiException if the body isn't one JSON object, if too many wait, or by the reader
   */
  public <T> T read(byte[] json, Function<ObjectNode, T> reader) throws InterruptedException {
    return read(json.length, () -> Json.parseObject(json), reader);
  }

  /**
   * Makes a tree of what came in another form, and a request of that.
   *
   * @param length of what came, in bytes
   * @throws ApiException by either, or if too many wait
   */
  public <T> T read(int length, Supplier<ObjectNode> tree, Function<ObjectNode, T> reader)
      throws InterruptedException {
    Callable<T> work = () -> reader.apply(tree.get());
    if (length <= SMALL) { // a fair semaphore would let it wait behind the large ones
      return on(small, work);
    }
    int bytes = Math.min(length, ROOM);
    room.acquire(bytes);
    try {
      return on(large, work);
    } finally {
      room.release(bytes);
    }
  }

  private static <T> T on(ThreadPoolExecutor threads, Callable<T> work)
      throws InterruptedException {
    FutureTask<T> task = new FutureTask<>(work);
    try {
      threads.execute(task);
    } catch (RejectedExecutionException e) {
      throw ApiException.tooManyRequests("too many requests wait to be read; try again later");
    }
    try {
      return task.get();
    } catch (InterruptedException e) {
      task.cancel(false);
      throw e;
    } catch (ExecutionException e) {
      switch (e.getCause()) {
        case RuntimeException cause -> throw cause;
        case Error cause -> throw cause;
        case null, default -> throw new IllegalStateException(e);
      }
    }
  }
}
