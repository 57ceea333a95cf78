package io.tercel.server.cli;

import io.tercel.server.UserException;
import io.tercel.server.kvevents.KvEventAddress;
import io.tercel.server.kvevents.KvEventPublisher;
import java.io.PrintWriter;
import java.net.InetAddress;
import java.net.UnknownHostException;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Whether routers are told what the prefix cache holds, and where. */
final class KvEventOptions {
  @Option(
      names = "--kv-events",
      paramLabel = "ADDRESS",
      description =
          "publish what the prefix cache holds, token ids and all, over ZeroMQ as vLLM does:"
              + " tcp://*:5557 waits for readers, tcp://ROUTER:5557 goes to one (default: nowhere)")
  private @Nullable String endpoint;

  @Option(
      names = "--kv-events-replay",
      paramLabel = "ADDRESS",
      description = "where missed events can be asked for, such as tcp://*:5558 (default: nowhere)")
  private @Nullable String replayEndpoint;

  @Option(
      names = "--kv-events-topic",
      paramLabel = "TEXT",
      description = "their ZeroMQ topic (default: kv@HOSTNAME@MODEL)")
  private @Nullable String topic;

  /**
   * Opens the sockets; null if nobody asked for them.
   *
   * @param model what the default topic calls it
   */
  @Nullable KvEventPublisher open(String model, boolean prefixCaching) {
    if (endpoint == null) {
      if (replayEndpoint != null || topic != null) {
        throw new UserException("--kv-events-replay and --kv-events-topic need --kv-events");
      }
      return null;
    }
    if (!prefixCaching) {
      throw new UserException("--kv-events has nothing to tell with --no-prefix-caching; drop one");
    }
    try {
      String named = topic == null ? "kv@" + hostname() + "@" + model : topic;
      return KvEventPublisher.open(new KvEventAddress(endpoint, replayEndpoint, named));
    } catch (IllegalArgumentException e) {
      throw new UserException(String.valueOf(e.getMessage()), e);
    }
  }

  private static String hostname() {
    try {
      return InetAddress.getLocalHost().getHostName();
    } catch (UnknownHostException e) {
      return "localhost";
    }
  }

  static void announce(PrintWriter out, KvEventPublisher events) {
    String replay = events.replayEndpoint();
    out.printf(
        "KV events on %s%s, in the clear: whoever reads them reads prompts.%n",
        events.endpoint(), replay == null ? "" : ", replay on " + replay);
  }
}
