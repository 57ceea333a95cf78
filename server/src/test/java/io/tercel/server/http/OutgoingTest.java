package io.tercel.server.http;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelOutboundHandlerAdapter;
import io.netty.channel.ChannelPromise;
import io.netty.channel.embedded.EmbeddedChannel;
import io.netty.util.ReferenceCountUtil;
import io.tercel.server.call.ClientGoneException;
import io.tercel.server.call.ClientWatch;
import java.time.Duration;
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
}
