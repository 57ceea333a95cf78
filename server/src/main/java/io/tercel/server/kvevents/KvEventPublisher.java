package io.tercel.server.kvevents;

import io.tercel.server.engine.PrefixCacheListener;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.zeromq.SocketType;
import org.zeromq.ZContext;
import org.zeromq.ZMQ;
import org.zeromq.ZMQException;

/**
 * Publishes the prefix cache's changes on a ZeroMQ PUB socket, each message three frames: topic,
 * number (8 bytes, big-endian, from 0 without gaps) and {@link KvEventBatch}. Who sees a gap asks
 * for what is missing on the replay socket (ROUTER): a frame with the number to begin at; answers
 * are number and batch, the last number is -1.
 *
 * <p>The engine never waits for it. What it can't queue is lost, and then everything is declared
 * cleared: readers may know too little, which costs a computation, never too much. The first
 * message declares the same, since a server that starts has nothing cached.
 */
public final class KvEventPublisher implements PrefixCacheListener, AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(KvEventPublisher.class);

  /** Messages that can be asked for again, at most. */
  static final int REPLAYABLE = 10_000;

  /** Bytes of those, at most. */
  private static final long REPLAYABLE_BYTES = 32 << 20;

  /** Messages that wait for a reader who does not read; what comes then, that one misses. */
  private static final int UNREAD = 1_000;

  /** Events of one message at most. */
  private static final int BATCH = 256;

  /** Events that wait to be sent. */
  private static final int QUEUED = 100_000;

  /** How long a request for a replay may lie unread. */
  private static final long PATIENCE_MS = 20;

  private static final long LAST = -1;

  private record Sent(long number, byte[] batch) {}

  private final BlockingQueue<KvEvent> queue;
  private final AtomicBoolean lost = new AtomicBoolean();
  private final byte[] topic;
  private final Clock clock = Clock.systemUTC();
  private final ArrayDeque<Sent> sent = new ArrayDeque<>();
  private final ZContext context;
  private final ZMQ.Socket publisher;
  private final ZMQ.@Nullable Socket replay;
  private final String endpoint;
  private final @Nullable String replayEndpoint;
  private final Thread thread;
  private volatile boolean closed;
  private long next;
  private long sentBytes;

  /**
   * Opens the sockets and begins.
   *
   * @throws IllegalArgumentException if an endpoint can't be bound or connected to; says which
   */
  public static KvEventPublisher open(KvEventAddress address) {
    KvEventPublisher publisher = new KvEventPublisher(address, QUEUED);
    publisher.start();
    return publisher;
  }

  /** Opens the sockets and holds what it hears, until it is started. */
  KvEventPublisher(KvEventAddress address, int capacity) {
    queue = new ArrayBlockingQueue<>(capacity);
    topic = address.topic().getBytes(StandardCharsets.UTF_8);
    context = new ZContext();
    try {
      context.setLinger(200); // of what was sent before the end
      publisher = context.createSocket(SocketType.PUB);
      publisher.setHWM(UNREAD);
      open(publisher, address.endpoint(), address.binds());
      endpoint = publisher.getLastEndpoint();
      String where = address.replayEndpoint();
      replay = where == null ? null : context.createSocket(SocketType.ROUTER);
      if (replay != null && where != null) {
        replay.setHWM(10 * REPLAYABLE); // counts frames; what is beyond it, a router socket drops
        open(replay, where, true);
      }
      replayEndpoint = replay == null ? null : replay.getLastEndpoint();
    } catch (RuntimeException e) {
      context.close();
      throw e;
    }
    cleared();
    thread = Thread.ofPlatform().daemon().name("kv-events").unstarted(this::run);
  }

  private static void open(ZMQ.Socket socket, String endpoint, boolean binds) {
    try {
      boolean open = binds ? socket.bind(endpoint) : socket.connect(endpoint);
      if (!open) {
        throw new IllegalArgumentException(endpoint + " can't be opened");
      }
    } catch (ZMQException | IllegalArgumentException e) {
      throw new IllegalArgumentException(
          "can't %s %s: %s".formatted(binds ? "bind" : "connect to", endpoint, e.getMessage()), e);
    }
  }

  void start() {
    thread.start();
  }

  /** Where the events are published, with the port that was chosen if it was left open. */
  public String endpoint() {
    return endpoint;
  }

  /** Where they can be asked for again; null if nowhere. */
  public @Nullable String replayEndpoint() {
    return replayEndpoint;
  }

  @Override
  public void stored(long hash, long parent, int[] tokens) {
    add(new KvEvent.Stored(hash, parent, tokens));
  }

  @Override
  public void removed(long hash) {
    add(new KvEvent.Removed(hash));
  }

  @Override
  public void cleared() {
    add(new KvEvent.Cleared());
  }

  private void add(KvEvent event) {
    if (lost.get() || !queue.offer(event)) {
      lost.set(true); // nothing more is taken until the thread has declared it
    }
  }

  private void run() {
    List<KvEvent> events = new ArrayList<>();
    try {
      while (!closed || !queue.isEmpty()) {
        try {
          turn(events);
        } catch (ZMQException e) {
          throw e;
        } catch (RuntimeException e) { // whatever it was: readers may miss something
          log.error("KV events were not sent", e);
          lost.set(true);
        }
        events.clear();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (ZMQException e) {
      log.error("KV events end: {}", e.getMessage());
    } finally {
      context.close();
    }
  }

  private void turn(List<KvEvent> events) throws InterruptedException {
    KvEvent first = queue.poll(PATIENCE_MS, TimeUnit.MILLISECONDS);
    if (first != null) {
      events.add(first);
      queue.drainTo(events, BATCH - 1);
      publish(events);
    }
    if (queue.isEmpty() && lost.get()) {
      log.warn("KV events were lost, such as for want of room; readers are told to forget all");
      publish(List.of(new KvEvent.Cleared()));
      lost.set(false);
    }
    replay();
  }

  private void publish(List<KvEvent> events) {
    byte[] batch = KvEventBatch.pack(clock.millis() / 1e3, events);
    long number = next++;
    if (replay != null) {
      keep(new Sent(number, batch));
    }
    publisher.sendMore(topic);
    publisher.sendMore(number(number));
    publisher.send(batch);
  }

  private void keep(Sent message) {
    sent.addLast(message);
    sentBytes += message.batch().length;
    while (sent.size() > REPLAYABLE || sentBytes > REPLAYABLE_BYTES) {
      sentBytes -= sent.removeFirst().batch().length;
    }
  }

  /** Answers one who asks: identity, an empty frame, where to begin. */
  private void replay() {
    if (replay == null) {
      return;
    }
    byte[] client = replay.recv(ZMQ.DONTWAIT);
    if (client != null) {
      List<byte[]> frames = new ArrayList<>();
      while (replay.hasReceiveMore()) {
        frames.add(replay.recv());
      }
      if (frames.size() != 2 || frames.getLast().length != Long.BYTES) {
        log.warn("a request for KV events is not one frame of 8 bytes; it is left unanswered");
        return;
      }
      long from = ByteBuffer.wrap(frames.getLast()).getLong();
      for (Sent message : sent) {
        if (message.number() >= from) {
          answer(client, message.number(), message.batch());
        }
      }
      answer(client, LAST, new byte[0]);
    }
  }

  private void answer(byte[] client, long number, byte[] batch) {
    if (replay != null) {
      replay.sendMore(client);
      replay.sendMore(new byte[0]);
      replay.sendMore(number(number));
      replay.send(batch);
    }
  }

  private static byte[] number(long value) {
    return ByteBuffer.allocate(Long.BYTES).putLong(value).array();
  }

  /** Sends what is queued, and ends. */
  @Override
  public void close() {
    closed = true;
    try {
      thread.join(2_000);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
