package io.tercel.server.log;

import io.tercel.server.call.CallObserver;
import io.tercel.server.call.CallRecord;
import io.tercel.server.call.Json;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.LongAdder;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A line of JSON for every request that has ended. A thread of its own writes them; who tells of a
 * call never waits: what comes faster than a disk takes it is dropped, and counted.
 */
public final class RequestLog implements CallObserver, AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(RequestLog.class);
  private static final int MAX_WAITING = 8192;
  private static final int BATCH = 512;
  private static final long CLOSING_MILLIS = 5000;

  private final LogSink sink;
  private final BlockingQueue<CallRecord> waiting;
  private final LongAdder lines = new LongAdder();
  private final LongAdder dropped = new LongAdder();
  private final Thread writer;
  private volatile boolean closing;
  private boolean complained;

  RequestLog(LogSink sink, int maxWaiting) {
    this.sink = sink;
    this.waiting = new ArrayBlockingQueue<>(maxWaiting);
    this.writer = Thread.ofPlatform().daemon().name("request-log").start(this::run);
  }

  /**
   * Into a file, behind what is there.
   *
   * @throws IOException if it can't be written
   */
  public static RequestLog to(Path file) throws IOException {
    return new RequestLog(new LogFile(file), MAX_WAITING);
  }

  /** Into a stream, which stays open. */
  public static RequestLog to(OutputStream out) {
    LogSink sink =
        new LogSink() {
          @Override
          public void write(byte[] bytes) throws IOException {
            out.write(bytes);
            out.flush();
          }

          @Override
          public void close() {}
        };
    return new RequestLog(sink, MAX_WAITING);
  }

  @Override
  public void ended(CallRecord call) {
    if (RequestLine.isFor(call) && (closing || !waiting.offer(call))) {
      dropped.increment();
    }
  }

  private void run() {
    List<CallRecord> batch = new ArrayList<>();
    while (true) {
      try {
        CallRecord first = waiting.poll(50, TimeUnit.MILLISECONDS);
        if (first == null) {
          if (closing) {
            return;
          }
          continue;
        }
        batch.add(first);
        waiting.drainTo(batch, BATCH - 1);
        write(batch);
        batch.clear();
      } catch (InterruptedException e) {
        return;
      }
    }
  }

  private void write(List<CallRecord> batch) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try {
      for (CallRecord call : batch) {
        bytes.write(Json.bytes(RequestLine.of(call)));
        bytes.write('\n');
      }
      sink.write(bytes.toByteArray());
      lines.add(batch.size());
      complained = false;
    } catch (IOException | RuntimeException e) {
      dropped.add(batch.size());
      if (!complained) { // once, not once a request
        complained = true;
        log.error("the request log can't be written; lines are dropped until it can", e);
      }
    }
  }

  /** Written so far. */
  public long lines() {
    return lines.sum();
  }

  /** Lost so far: they came too fast, or could not be written. */
  public long dropped() {
    return dropped.sum();
  }

  /** Writes what waits. */
  @Override
  public void close() {
    closing = true;
    try {
      writer.join(CLOSING_MILLIS);
      sink.close();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (IOException e) {
      log.warn("the request log's end was not written", e);
    }
  }
}
