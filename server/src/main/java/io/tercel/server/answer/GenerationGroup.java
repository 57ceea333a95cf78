package io.tercel.server.answer;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * The generations of one request, a prompt each. They are read side by side: one that isn't read
 * would stop when its queue is full. If one fails, all end.
 */
public final class GenerationGroup {
  private final List<GenerationReader> readers = new ArrayList<>();

  public void add(GenerationReader reader) {
    readers.add(reader);
  }

  /**
   * Reads all to their ends.
   *
   * @param sinks one a generation; each is used by one thread
   */
  public void readAll(List<? extends GenerationReader.Sink> sinks) throws InterruptedException {
    if (readers.size() == 1) {
      readers.getFirst().readAll(sinks.getFirst());
      return;
    }
    AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < readers.size(); i++) {
      GenerationReader reader = readers.get(i);
      GenerationReader.Sink sink = sinks.get(i);
      threads.add(Thread.ofVirtual().start(() -> read(reader, sink, failure)));
    }
    try {
      for (Thread thread : threads) {
        thread.join();
      }
    } catch (InterruptedException e) {
      cancel();
      throw e;
    }
    switch (failure.get()) {
      case null -> {}
      case RuntimeException e -> throw e;
      case Error e -> throw e;
      case Throwable e -> throw new IllegalStateException(e);
    }
  }

  private void read(
      GenerationReader reader,
      GenerationReader.Sink sink,
      AtomicReference<@Nullable Throwable> failure) {
    try {
      reader.readAll(sink);
    } catch (Throwable e) { // handed to the request's own thread
      failure.compareAndSet(null, e);
      cancel();
    }
  }

  /** Ends all. */
  public void cancel() {
    readers.forEach(GenerationReader::cancel);
  }

  public int numTokens() {
    return readers.stream().mapToInt(GenerationReader::numTokens).sum();
  }

  public int reasoningTokens() {
    return readers.stream().mapToInt(GenerationReader::reasoningTokens).sum();
  }

  public int cachedTokens() {
    return readers.stream().mapToInt(GenerationReader::cachedTokens).sum();
  }
}
