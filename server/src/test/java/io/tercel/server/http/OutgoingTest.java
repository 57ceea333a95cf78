package io.tercel.server.http;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelOutboundHandlerAdapter;
import io.netty.channel.ChannelPromise;
import io.netty.channel.embedded.EmbeddedChannel;
import io.netty.util.ReferenceCountUtil;
import io.tercel.server.call.ClientGoneException;
import io.tercel.server.call.ClientWatch;
import io.tercel.server.testing.TestServer;
import java.time.Duration;
import java.util.Deque;
import java.util.concurrent.ConcurrentLinkedDeque;
import org.junit.jupiter.api.Test;

class OutgoingTest {
  /** A socket that takes what is written when the test says so. */
  private static final class Socket extends ChannelOutboundHandlerAdapter {
    private final Deque<ChannelPromise> written = new ConcurrentLinkedDeque<>();

    @Override
    public void write(ChannelHandlerContext context, Object message, ChannelPromise promise) {
      ReferenceCountUtil.release(message);
      written.add(promise);
    }

    void take() {
      written.remove().setSuccess();
    }
  }

  private final Socket socket = new Socket();
  private final EmbeddedChannel channel = new EmbeddedChannel(socket);

  private void whileWaiting(Thread thread) throws InterruptedException {
    TestServer.await("it waits", () -> thread.getState() == Thread.State.TIMED_WAITING);
    assertTrue(channel.isOpen());
  }

  /** The silence is longer than the test may take: only what is taken ends a wait. */
  @Test
  void whatIsTaken_makesRoomAtOnce_andTheLastOfItEndsTheFlush() throws Exception {
    Outgoing out = new Outgoing(channel, new ClientWatch(Duration.ofHours(1)));
    Thread writer =
        Thread.ofPlatform()
            .daemon()
            .start(
                () -> {
                  out.content(Unpooled.wrappedBuffer(new byte[100 << 10]));
                  out.flush();
                });
    whileWaiting(writer);
    int parts = socket.written.size();
    assertTrue(parts < 12, "it writes no more than there is room for, but " + parts);
    for (int i = 0; i < 13; i++) {
      assertFalse(out.idle());
      whileWaiting(writer); // for room, then for the end
      socket.take();
    }
    assertTrue(writer.join(Duration.ofSeconds(30)), "nobody told it that all is taken");
    assertTrue(out.idle());
    assertEquals(0, socket.written.size());
  }

  @Test
  void whoTakesNothing_isClosed() {
    Outgoing out = new Outgoing(channel, new ClientWatch(Duration.ofMillis(20)));
    out.content(Unpooled.wrappedBuffer(new byte[100]));
    assertThrows(ClientGoneException.class, out::flush);
    assertFalse(channel.isOpen());
  }
}
