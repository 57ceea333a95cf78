package io.tercel.server.kvevents;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.msgpack.core.MessagePack;
import org.msgpack.core.MessageUnpacker;
import org.zeromq.SocketType;
import org.zeromq.ZContext;
import org.zeromq.ZMQ;

/** Read as a router reads: by another socket, with a reader of MessagePack that knows no class. */
class KvEventPublisherTest {
  private static final int PATIENCE_MS = 20_000;

  private final ZContext context = new ZContext();

  @AfterEach
  void close() {
    context.close();
  }

  @Test
  void events_inTheFormOfVllm() throws IOException {
    try (KvEventPublisher events = publisher()) {
      events.stored(7, 0, new int[] {1, 70_000});
      events.stored(-2, 7, new int[] {3, 4});
      events.removed(-2);
      List<String> read = replayed(events, 0, "[\"BlockRemoved\"");
      assertEquals(
          List.of(
              "[\"AllBlocksCleared\"]",
              "[\"BlockStored\",[7],null,[1,70000],2,null,\"CPU\",null]",
              "[\"BlockStored\",[18446744073709551614],7,[3,4],2,null,\"CPU\",null]",
              "[\"BlockRemoved\",[18446744073709551614],\"CPU\"]"),
          read);
    }
  }

  @Test
  void subscriber_getsTopicNumberAndBatch() {
    try (ZMQ.Socket router = context.createSocket(SocketType.SUB)) {
      router.setReceiveTimeOut(PATIENCE_MS);
      router.subscribe("kv@");
      assertTrue(router.bind("tcp://127.0.0.1:*"));
      KvEventAddress address = new KvEventAddress(router.getLastEndpoint(), null, "kv@pod@model");
      try (KvEventPublisher events = KvEventPublisher.open(address)) {
        String topic = null;
        long last = -1;
        for (int i = 0; topic == null || last < 3; i++) { // the first ones may precede the meeting
          events.removed(i);
          byte[] first = router.recv(topic == null ? ZMQ.DONTWAIT : 0);
          if (first != null) {
            topic = new String(first, StandardCharsets.UTF_8);
            long number = ByteBuffer.wrap(router.recv()).getLong();
            assertTrue(last < 0 || number == last + 1, "numbers have no gap");
            last = number;
            assertNotNull(router.recv());
          }
        }
        assertEquals("kv@pod@model", topic);
      }
    }
  }

  @Test
  void replay_beginsWhereItIsAsked_andEndsWithMinusOne() throws IOException {
    try (KvEventPublisher events = publisher()) {
      events.removed(1);
      replayed(events, 0, "[\"BlockRemoved\",[1]"); // is sent
      events.removed(2);
      List<String> tail = replayed(events, 1, "[\"BlockRemoved\",[2]");
      assertEquals(
          List.of("[\"BlockRemoved\",[2],\"CPU\"]"), tail.subList(tail.size() - 1, tail.size()));
      assertTrue(tail.stream().noneMatch(e -> e.contains("Cleared")), "what came before");
    }
  }

  /** A reader that is told less than happened must not go on believing what it knows. */
  @Test
  void moreEventsThanTheQueueHolds_areDeclaredCleared() throws IOException {
    KvEventAddress address = new KvEventAddress("tcp://*:*", "tcp://*:*", "t");
    try (KvEventPublisher events = new KvEventPublisher(address, 2)) { // the first is its own
      events.stored(1, 0, new int[] {1});
      events.stored(2, 1, new int[] {2});
      events.start();
      List<String> read = replayed(events, 0, "[\"AllBlocksCleared\"]", 2);
      assertEquals(
          List.of(
              "[\"AllBlocksCleared\"]",
              "[\"BlockStored\",[1],null,[1],1,null,\"CPU\",null]",
              "[\"AllBlocksCleared\"]"),
          read);
      events.stored(3, 0, new int[] {3});
      read = replayed(events, 2, "[\"BlockStored\",[3]");
      assertEquals(1, read.size(), "what comes afterwards is told again");
    }
  }

  @Test
  void addresses_thatAreNone() {
    for (String bad : List.of("5557", "tcp://", "tcp://host", "http://host:1", "tcp://*:123456")) {
      String message =
          assertThrows(IllegalArgumentException.class, () -> new KvEventAddress(bad, null, "t"))
              .getMessage();
      assertTrue(String.valueOf(message).startsWith("--kv-events: " + bad), message);
    }
    try (KvEventPublisher first = publisher()) {
      String taken = String.valueOf(first.endpoint()).replace("0.0.0.0", "*");
      String message =
          assertThrows(
                  IllegalArgumentException.class,
                  () -> KvEventPublisher.open(new KvEventAddress(taken, null, "t")))
              .getMessage();
      assertTrue(String.valueOf(message).startsWith("can't bind " + taken), message);
    }
  }

  private static KvEventPublisher publisher() {
    return KvEventPublisher.open(new KvEventAddress("tcp://*:*", "tcp://*:*", "t"));
  }

  private List<String> replayed(KvEventPublisher events, long from, String until)
      throws IOException {
    return replayed(events, from, until, 1);
  }

  /** All events from a message on, asked for until one that begins so has come so many times. */
  private List<String> replayed(KvEventPublisher events, long from, String until, int times)
      throws IOException {
    long deadline = System.nanoTime() + PATIENCE_MS * 1_000_000L;
    List<String> read = new ArrayList<>();
    while (read.stream().filter(e -> e.startsWith(until)).count() < times) {
      assertTrue(System.nanoTime() < deadline, "only " + read);
      read.clear();
      ask(String.valueOf(events.replayEndpoint()), from, read);
    }
    return read;
  }

  /** Asks once; a reader who gets no answer in time asks again, by another socket. */
  private void ask(String endpoint, long from, List<String> read) throws IOException {
    try (ZMQ.Socket asking = context.createSocket(SocketType.DEALER)) {
      asking.setReceiveTimeOut(1_000);
      asking.connect(endpoint.replace("0.0.0.0", "127.0.0.1"));
      asking.sendMore(new byte[0]);
      asking.send(ByteBuffer.allocate(8).putLong(from).array());
      long expected = from;
      for (byte[] empty = asking.recv(); empty != null; empty = asking.recv()) {
        assertEquals(0, empty.length);
        long number = ByteBuffer.wrap(asking.recv()).getLong();
        byte[] batch = asking.recv();
        if (number == -1) {
          assertArrayEquals(new byte[0], batch);
          return;
        }
        assertEquals(expected++, number);
        unpack(batch, read);
      }
    }
  }

  private static void unpack(byte[] batch, List<String> events) throws IOException {
    try (MessageUnpacker in = MessagePack.newDefaultUnpacker(batch)) {
      assertEquals(3, in.unpackArrayHeader());
      assertTrue(in.unpackDouble() > 1.7e9, "seconds since 1970");
      int count = in.unpackArrayHeader();
      for (int i = 0; i < count; i++) {
        events.add(in.unpackValue().toJson());
      }
      assertEquals(0, in.unpackInt());
    }
  }
}
