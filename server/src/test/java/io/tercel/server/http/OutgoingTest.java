package io.tercel.server.http;

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
import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;

class OutgoingTest {
  /** A socket that never says that it took what is written. */
  private static final class Socket extends ChannelOutboundHandlerAdapter {
    @Override
    public void write(ChannelHandlerContext context, Object message, ChannelPromise promise) {
      ReferenceCountUtil.release(message);
    }
  }

  private final EmbeddedChannel channel = new EmbeddedChannel(new Socket());

  @Test
  void whoTakesNothing_isClosed() {
    Outgoing out = new Outgoing(channel, new ClientWatch(Duration.ofMillis(20)));
    out.content(Unpooled.wrappedBuffer(new byte[100]));
    assertThrows(ClientGoneException.class, out::flush);
    assertFalse(channel.isOpen());
  }

  /** A socket that takes what is written when it is told to. */
  private static final class Latch extends ChannelOutboundHandlerAdapter {
    private final CompletableFuture<ChannelPromise> written = new CompletableFuture<>();

    @Override
    public void write(ChannelHandlerContext context, Object message, ChannelPromise promise) {
      ReferenceCountUtil.release(message);
      written.complete(promise);
    }
  }

  /** A client may leave as soon as it has the last byte; one that lacks it has left too early. */
  @Test
  void body_isTaken_whenItsLastByteIs() {
    Latch socket = new Latch();
    Outgoing out = new Outgoing(new EmbeddedChannel(socket), new ClientWatch(Duration.ofHours(1)));
    assertFalse(out.taken(), "there is none yet");
    out.lastContent(Unpooled.wrappedBuffer(new byte[100]));
    assertFalse(out.taken());
    socket.written.join().setSuccess();
    assertTrue(out.taken());
    out.content(Unpooled.wrappedBuffer(new byte[1]));
    assertFalse(out.taken());

    Latch broken = new Latch();
    out = new Outgoing(new EmbeddedChannel(broken), new ClientWatch(Duration.ofHours(1)));
    out.lastContent(Unpooled.wrappedBuffer(new byte[100]));
    broken.written.join().setFailure(new IOException("reset"));
    assertFalse(out.taken());
  }

  /** Not at the end of the client's time, by looking again: an answer has many parts. */
  @Test
  void whoTakesSomething_wakesTheWriterAtOnce() throws Exception {
    Latch socket = new Latch();
    Outgoing out = new Outgoing(new EmbeddedChannel(socket), new ClientWatch(Duration.ofHours(1)));
    out.content(Unpooled.wrappedBuffer(new byte[100]));
    Thread writer = Thread.ofPlatform().daemon().start(out::flush);
    TestServer.await("it waits", () -> writer.getState() == Thread.State.TIMED_WAITING);
    socket.written.get().setSuccess();
    assertTrue(writer.join(Duration.ofSeconds(20)), "it still waits for what has been taken");
  }
}
