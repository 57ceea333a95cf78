package io.tercel.loadtests.cli;

import io.tercel.loadtests.client.ServerProbe;
import io.tercel.loadtests.client.TargetException;
import io.tercel.loadtests.hostile.Attack;
import io.tercel.loadtests.hostile.ServerReading;
import io.tercel.loadtests.hostile.Siege;
import io.tercel.server.UserException;
import io.tercel.server.cli.Command;
import java.io.PrintWriter;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code tercel bench hostile}: bad clients before a running server, and what they cost it. */
@CommandLine.Command(
    name = "hostile",
    description = {
      "Treats a running server badly, in a dozen ways, while an honest client goes on asking.",
      "Prints the server's memory before, at the peak and after; fails if an honest answer changed,"
          + " the server answered with a fault, or anything is left running."
    },
    mixinStandardHelpOptions = true,
    sortOptions = false)
public final class BenchHostileCommand implements Command {
  private static final Duration TIMEOUT = Duration.ofSeconds(60);
  private static final String ROW = "%-28s %5s %4s %9s | %6s %6s %6s | %6s %6s | %6s | %s%n";

  @Spec private @Nullable CommandSpec spec;

  @Option(
      names = {"--base-url", "--url"},
      paramLabel = "URL",
      description = "The server, with or without /v1 (default: ${DEFAULT-VALUE}).")
  private String baseUrl = "http://127.0.0.1:8000";

  @Option(
      names = "--api-key",
      paramLabel = "KEY",
      description = "Sent as a bearer token. Default: the environment's TERCEL_API_KEY.")
  private @Nullable String apiKey = System.getenv("TERCEL_API_KEY");

  @Option(
      names = "--hold",
      paramLabel = "SECONDS",
      description = "How long what takes time is kept up (default: ${DEFAULT-VALUE}).")
  private int hold = 10;

  @Option(
      names = "--only",
      paramLabel = "TEXT",
      description = "The attacks whose names contain this.")
  private String only = "";

  @Override
  public String parent() {
    return "bench";
  }

  /** 0 if the server bore it all, else 1. */
  @Override
  public Integer call() throws InterruptedException {
    URI server = server();
    if (hold < 1 || hold > 600) {
      throw new UserException("--hold: " + hold + " is out of range; 1 to 600 seconds");
    }
    List<Attack> attacks =
        Attack.all().stream().filter(attack -> attack.name().contains(only)).toList();
    if (attacks.isEmpty()) {
      throw new UserException("--only: no attack is called '" + only + "'");
    }
    try (ServerProbe probe = new ServerProbe(server.toString(), apiKey, TIMEOUT)) {
      return run(
          new Attack.Door(server, apiKey, probe.model(), Duration.ofSeconds(hold)), probe, attacks);
    } catch (TargetException e) {
      throw new UserException(String.valueOf(e.getMessage()), e);
    }
  }

  private int run(Attack.Door door, ServerProbe probe, List<Attack> attacks)
      throws InterruptedException {
    PrintWriter out =
        spec == null ? new PrintWriter(System.out, true) : spec.commandLine().getOut();
    Siege siege = new Siege(door, probe);
    out.printf(Locale.ROOT, "Alone, the honest client waits %.2f s.%n", siege.alone());
    out.printf(
        Locale.ROOT,
        ROW,
        "attack",
        "times",
        "same",
        "slowest s",
        "RSS",
        "peak",
        "after",
        "heap",
        "peak",
        "direct",
        "answers to the attackers (sizes in MiB)");
    out.flush();
    boolean borne = true;
    for (Attack attack : attacks) {
      Siege.Result result = siege.run(attack);
      borne &= result.borne();
      out.print(line(result));
      out.flush();
    }
    out.println(borne ? "Borne: the same answers, no fault, nothing left." : "NOT borne.");
    out.flush();
    return borne ? 0 : 1;
  }

  private static String line(Siege.Result result) {
    return String.format(
        Locale.ROOT,
        ROW,
        result.attack().name(),
        result.attack().clients(),
        result.answers().same(),
        String.format(Locale.ROOT, "%.2f", result.answers().slowest()),
        ServerReading.mib(result.before().resident()),
        ServerReading.mib(result.peak().resident()),
        ServerReading.mib(result.after().resident()),
        ServerReading.mib(result.before().heap()),
        ServerReading.mib(result.peak().heap()),
        ServerReading.mib(result.peak().direct()),
        result.tally()
            + (result.broken() > 0 ? ", broken x" + result.broken() : "")
            + (result.answers().refused() > 0
                ? "; honest refused x" + result.answers().refused()
                : "")
            + (result.borne() ? "" : "  <- NOT borne"));
  }

  private URI server() {
    URI uri;
    try {
      uri = URI.create(baseUrl.replaceAll("/+$", "").replaceAll("/v1$", ""));
    } catch (IllegalArgumentException e) {
      throw new UserException("--base-url: '" + baseUrl + "' is no address", e);
    }
    if (!"http".equals(uri.getScheme()) || uri.getHost() == null) {
      throw new UserException("--base-url: '" + baseUrl + "'; expected http://HOST:PORT");
    }
    return uri;
  }
}
