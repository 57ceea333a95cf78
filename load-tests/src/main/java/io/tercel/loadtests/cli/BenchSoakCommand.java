package io.tercel.loadtests.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.loadtests.client.HttpTarget;
import io.tercel.loadtests.client.ServerProbe;
import io.tercel.loadtests.client.TargetException;
import io.tercel.loadtests.data.PromptMaker;
import io.tercel.loadtests.data.RandomDataset;
import io.tercel.loadtests.soak.Soak;
import io.tercel.loadtests.soak.SoakResult;
import io.tercel.loadtests.soak.SoakTable;
import io.tercel.loadtests.traffic.ClientMix;
import io.tercel.server.UserException;
import io.tercel.server.cli.Command;
import java.io.PrintWriter;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code tercel bench soak}: hours of everything at once on a running server. */
@CommandLine.Command(
    name = "soak",
    description = {
      "Clients of all classes of service, more than the server takes, some of whom leave or hardly"
          + " read, while its weights change.",
      "Fails if anything but a 429 was answered, memory went on growing, a block was left, or new"
          + " weights were refused."
    },
    mixinStandardHelpOptions = true,
    sortOptions = false)
public final class BenchSoakCommand implements Command {
  /** Shares of the clients, in tenths. */
  private static final Map<String, Integer> CLASSES = Map.of("chat", 4, "rollout", 4, "batch", 2);

  private static final Duration TIMEOUT = Duration.ofMinutes(10);

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

  @Mixin private final UpdateOptions updates = new UpdateOptions();

  @Option(
      names = "--duration",
      paramLabel = "TIME",
      description = "How long requests are sent (default: ${DEFAULT-VALUE}).")
  private String duration = "30m";

  @Option(
      names = "--max-concurrency",
      paramLabel = "N",
      description =
          "Clients at a time: four tenths chat, four rollout, two batch (default:"
              + " ${DEFAULT-VALUE}).")
  private int clients = 60;

  @Option(
      names = "--input-len",
      paramLabel = "N",
      description =
          "Tokens of a prompt, half as many to half as many more (default: ${DEFAULT-VALUE}).")
  private int inputLen = 128;

  @Option(
      names = "--output-len",
      paramLabel = "N",
      description = "Tokens of an answer, likewise (default: ${DEFAULT-VALUE}).")
  private int outputLen = 256;

  @Option(
      names = "--abort-rate",
      paramLabel = "SHARE",
      description = "Share of clients that leave in the middle (default: ${DEFAULT-VALUE}).")
  private double abortRate = 0.1;

  @Option(
      names = "--slow-reader-rate",
      paramLabel = "SHARE",
      description = "Share of clients that read slowly (default: ${DEFAULT-VALUE}).")
  private double slowReaderRate = 0.05;

  @Option(names = "--seed", paramLabel = "N", description = "Default: ${DEFAULT-VALUE}.")
  private long seed;

  @Override
  public String parent() {
    return "bench";
  }

  /** 0 if the server bore it all, else 1. */
  @Override
  public Integer call() throws InterruptedException {
    check();
    String base = TargetOptions.base(baseUrl);
    PrintWriter out =
        spec == null ? new PrintWriter(System.out, true) : spec.commandLine().getOut();
    try (ServerProbe probe = new ServerProbe(base, apiKey, TIMEOUT)) {
      return run(probe, URI.create(base), out);
    } catch (TargetException e) {
      throw new UserException(String.valueOf(e.getMessage()), e);
    }
  }

  private void check() {
    if (clients < 10) {
      throw new UserException("--max-concurrency: " + clients + "; expected at least 10");
    }
    if (inputLen < 2 || outputLen < 2) {
      throw new UserException("--input-len and --output-len: expected at least 2 tokens");
    }
    for (double share : new double[] {abortRate, slowReaderRate, abortRate + slowReaderRate}) {
      if (!(share >= 0 && share <= 0.9)) {
        throw new UserException("--abort-rate, --slow-reader-rate: expected 0 to 0.9 together");
      }
    }
    updates.check();
  }

  private int run(ServerProbe probe, URI base, PrintWriter out) throws InterruptedException {
    String model = probe.model();
    PromptMaker prompts = new ServerPrompts(probe, TargetOptions.COMPLETIONS, model, out).maker();
    RandomDataset dataset = new RandomDataset(prompts, seed, inputLen, outputLen, 0.5);
    List<Soak.Load> loads = new ArrayList<>();
    Duration time = Times.parse("--duration", duration);
    Soak.Updates changes = updates.updates();
    try {
      CLASSES.forEach(
          (name, tenths) ->
              loads.add(new Soak.Load(name, target(base, model, name), clients * tenths / 10)));
      ClientMix mix = new ClientMix(abortRate, slowReaderRate, 4096, seed);
      SoakResult result;
      try (RunProgress progress = new RunProgress(System.err, "soak", 0, time)) {
        result = new Soak(loads, dataset, changes, probe, time, mix).run(progress);
      }
      out.print(SoakTable.of(result));
      List<String> complaints = result.complaints();
      complaints.forEach(complaint -> out.println("NOT borne: " + complaint));
      if (complaints.isEmpty()) {
        out.println("Borne: nothing but 429s, flat memory, nothing left.");
      }
      out.flush();
      return complaints.isEmpty() ? 0 : 1;
    } finally {
      loads.forEach(load -> load.target().close());
      if (changes != null) {
        changes.admin().close();
      }
    }
  }

  /** Rollouts keep their keys at new weights, as a trainer's do; the others begin again. */
  private HttpTarget target(URI base, String model, String serviceClass) {
    ObjectNode extra = new ObjectMapper().createObjectNode();
    extra.put("ignore_eos", true).put("service_class", serviceClass);
    extra.put("stale_kv", serviceClass.equals("rollout") ? "keep" : "drop");
    return new HttpTarget(
        URI.create(base + TargetOptions.COMPLETIONS), apiKey, model, extra, TIMEOUT);
  }
}
