package io.tercel.loadtests.cli;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.loadtests.client.AdminClient;
import io.tercel.loadtests.client.TargetException;
import io.tercel.loadtests.data.DatasetException;
import io.tercel.loadtests.report.Plots;
import io.tercel.loadtests.report.ResultJson;
import io.tercel.loadtests.report.ResultTable;
import io.tercel.loadtests.report.RunReport;
import io.tercel.loadtests.report.Selection;
import io.tercel.loadtests.soak.Soak;
import io.tercel.loadtests.soak.WeightUpdates;
import io.tercel.loadtests.traffic.RateSearch;
import io.tercel.server.UserException;
import io.tercel.server.cli.Command;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code tercel bench serve}: load on a running server, and what its clients see. */
@CommandLine.Command(
    name = "serve",
    description = {
      "Load-tests a running server, with the options and the JSON of vllm bench serve.",
      "Open loop with --request-rate, where latencies count from the intended time of sending;"
          + " closed loop with --max-concurrency."
    },
    mixinStandardHelpOptions = true,
    sortOptions = false)
public final class BenchServeCommand implements Command {
  private static final String SCENARIO = "--scenario";

  @Spec private @Nullable CommandSpec spec;

  @Option(
      names = SCENARIO,
      paramLabel = "FILE",
      description =
          "YAML with options by their names, without dashes in front; the command line goes before"
              + " it (default: none).")
  private @Nullable Path scenario; // read before the options are, by Tercel

  @Mixin private final TargetOptions target = new TargetOptions();
  @Mixin private final DataOptions data = new DataOptions();
  @Mixin private final TrafficOptions traffic = new TrafficOptions();
  @Mixin private final RateOptions rate = new RateOptions();
  @Mixin private final UpdateOptions updates = new UpdateOptions();
  @Mixin private final ReportOptions report = new ReportOptions();

  @Override
  public String parent() {
    return "bench";
  }

  @Override
  public String fileOption() {
    return SCENARIO;
  }

  /** 0 if any request was answered, or the rate that was searched for was found; else 1. */
  @Override
  public Integer call() throws InterruptedException, IOException {
    traffic.check(rate.findRate, data.isTrace());
    traffic.checkFor(data, rate.findRate);
    report.check();
    rate.check(report);
    updates.check();
    try (LoadSession session = LoadSession.open(target, data, traffic, report, console())) {
      Soak.Updates changes = updates.updates();
      return changes == null ? load(session) : load(session, changes);
    } catch (DatasetException | TargetException e) {
      throw new UserException(String.valueOf(e.getMessage()), e);
    }
  }

  private int load(LoadSession session) throws InterruptedException, IOException {
    return rate.findRate ? findRate(session) : run(session);
  }

  /** While weights change; also 1 if the server did not take them. */
  private int load(LoadSession session, Soak.Updates changes)
      throws InterruptedException, IOException {
    try (AdminClient _ = changes.admin();
        WeightUpdates changing = new WeightUpdates(changes)) {
      int code = load(session);
      changing.close();
      console().print(changing.summary());
      console().flush();
      return changing.faults().isEmpty() ? code : 1;
    }
  }

  private int run(LoadSession session) throws InterruptedException, IOException {
    PrintWriter out = console();
    Selection selection = report.selection();
    ResultJson json = new ResultJson(selection, report.saveDetailed);
    boolean sweep = traffic.sweep != null;
    List<RunReport> points = new ArrayList<>();
    int[] concurrencies = traffic.concurrencies();
    for (int i = 0; i < concurrencies.length; i++) {
      int limit = concurrencies[i];
      RunReport point =
          session.run(session.plan(limit, i), limit > 0 ? "concurrency " + limit : "load");
      points.add(point);
      out.print(ResultTable.of(point, selection));
      if (report.saveResult != null) {
        Path file =
            sweep ? ReportOptions.ofPoint(report.saveResult, concurrencies[i]) : report.saveResult;
        json.write(point, file);
        out.println("Wrote " + file);
      }
      out.flush();
    }
    if (sweep) {
      out.print(ResultTable.ofSweep(points));
    }
    if (report.plot != null) {
      boolean drawn =
          sweep ? Plots.sweep(points, report.plot) : Plots.run(points.getFirst(), report.plot);
      plotted(drawn);
    }
    out.flush();
    return points.stream().anyMatch(point -> point.summary().completed() > 0) ? 0 : 1;
  }

  private int findRate(LoadSession session) throws InterruptedException, IOException {
    PrintWriter out = console();
    RateFinder finder = new RateFinder(session, traffic, rate, out);
    RateSearch.Outcome outcome = finder.run();
    RunReport best = finder.best();
    Selection selection = report.selection();
    if (outcome.found()) {
      out.print(ResultTable.of(best, selection));
    }
    if (report.saveResult != null) {
      ObjectNode json = new ResultJson(selection, report.saveDetailed).of(best);
      finder.json(outcome).addTo(json);
      ResultJson.write(json, report.saveResult);
      out.println("Wrote " + report.saveResult);
    }
    if (report.plot != null) {
      plotted(Plots.run(best, report.plot));
    }
    out.flush();
    return outcome.found() ? 0 : 1;
  }

  private void plotted(boolean drawn) {
    console().println(drawn ? "Wrote " + report.plot : "Nothing to draw: no request was answered");
  }

  private PrintWriter console() {
    return spec == null ? new PrintWriter(System.out, true) : spec.commandLine().getOut();
  }
}
