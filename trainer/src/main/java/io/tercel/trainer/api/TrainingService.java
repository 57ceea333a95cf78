package io.tercel.trainer.api;

import com.fasterxml.jackson.databind.JsonNode;
import io.grpc.BindableService;
import io.grpc.stub.StreamObserver;
import io.tercel.proto.v1.CancelRequest;
import io.tercel.proto.v1.CancelResponse;
import io.tercel.proto.v1.Figures;
import io.tercel.proto.v1.GetRunRequest;
import io.tercel.proto.v1.GetRunResponse;
import io.tercel.proto.v1.StartRequest;
import io.tercel.proto.v1.StartResponse;
import io.tercel.proto.v1.TrainingGrpc;
import io.tercel.proto.v1.WatchRequest;
import io.tercel.proto.v1.WatchResponse;
import io.tercel.server.UserException;
import io.tercel.server.call.ApiException;
import io.tercel.server.grpc.GrpcCalls;
import io.tercel.server.grpc.GrpcService;
import io.tercel.server.grpc.Outbound;
import io.tercel.trainer.run.LogFollower;
import io.tercel.trainer.run.RunLog;
import io.tercel.trainer.run.RunStatus;
import io.tercel.trainer.run.TrainingRun;
import java.io.IOException;
import java.util.List;
import java.util.Set;

/** The service {@code tercel.v1.Training}. */
public final class TrainingService implements GrpcService {
  private final TrainingRuns runs;

  public TrainingService(TrainingRuns runs) {
    this.runs = runs;
  }

  @Override
  public String name() {
    return TrainingGrpc.SERVICE_NAME;
  }

  @Override
  public Set<String> adminMethods() {
    return Set.of("Start", "Cancel");
  }

  @Override
  public BindableService bind(GrpcCalls calls) {
    return new TrainingGrpc.TrainingImplBase() {
      @Override
      public void start(StartRequest request, StreamObserver<StartResponse> observer) {
        calls.run(request, observer, out -> TrainingService.this.start(request, out));
      }

      @Override
      public void getRun(GetRunRequest request, StreamObserver<GetRunResponse> observer) {
        calls.run(request, observer, out -> out.send(description()));
      }

      @Override
      public void watch(WatchRequest request, StreamObserver<WatchResponse> observer) {
        calls.run(request, observer, out -> TrainingService.this.watch(request, out));
      }

      @Override
      public void cancel(CancelRequest request, StreamObserver<CancelResponse> observer) {
        calls.run(request, observer, TrainingService.this::cancel);
      }
    };
  }

  /** The one that is meant: there is no other than the newest. */
  private TrainingRun run() {
    TrainingRun run = runs.current();
    if (run == null) {
      throw ApiException.conflict("no run was started yet");
    }
    return run;
  }

  private void start(StartRequest request, Outbound<StartResponse> out)
      throws InterruptedException {
    TrainingRun run;
    try {
      run =
          runs.start(
              new TrainingRuns.Wish(
                  request.getCommand(),
                  request.getArgumentsList(),
                  request.getFolder(),
                  request.getResume(),
                  request.hasStudent() ? request.getStudent() : null));
    } catch (UserException e) {
      throw ApiException.conflict(String.valueOf(e.getMessage()));
    }
    out.whenGone(run::wake);
    RunStatus now = run.await(status -> status.state() != RunStatus.State.PREPARING, out::gone);
    if (now.state() == RunStatus.State.FAILED && !run.opened()) {
      throw ApiException.conflict(String.valueOf(now.failure()));
    }
    out.send(
        StartResponse.newBuilder()
            .setFolder(run.folder().directory().toAbsolutePath().toString())
            .setStatus(RunMessages.status(now, run.steps()))
            .build());
  }

  private GetRunResponse description() {
    TrainingRun run = run();
    JsonNode settings = run.folder().settings();
    return GetRunResponse.newBuilder()
        .setCommand(settings.path("command").asText())
        .setFolder(run.folder().directory().toAbsolutePath().toString())
        .setSettingsJson(settings.toString())
        .setStatus(RunMessages.status(run.status(), run.steps()))
        .build();
  }

  private void cancel(Outbound<CancelResponse> out) throws InterruptedException {
    TrainingRun run = run();
    out.whenGone(run::wake);
    run.cancel();
    RunStatus ended = run.await(RunStatus::ended, out::gone);
    out.send(CancelResponse.newBuilder().setStatus(RunMessages.status(ended, run.steps())).build());
  }

  private void watch(WatchRequest request, Outbound<WatchResponse> out)
      throws IOException, InterruptedException {
    if (request.hasFromStep() && request.getFromStep() < 0) {
      throw ApiException.invalid("from_step", "from_step must be 0 or more");
    }
    TrainingRun run = run();
    out.whenGone(run::wake);
    RunStatus now = run.await(status -> status.state() != RunStatus.State.PREPARING, out::gone);
    if (run.opened()) {
      int from = request.hasFromStep() ? request.getFromStep() : now.stepsDone() + 1;
      now = follow(run, from, out);
    }
    out.send(WatchResponse.newBuilder().setEnded(RunMessages.status(now, run.steps())).build());
  }

  /** Sends lines to the end of the run, or until nobody reads them. */
  private static RunStatus follow(TrainingRun run, int from, Outbound<WatchResponse> out)
      throws IOException, InterruptedException {
    try (LogFollower log = LogFollower.open(run.folder().resolve(RunLog.FILE))) {
      RunStatus now = run.status(); // before reading, so that what it counts is read
      while (true) {
        send(log, from, now, run.steps(), out);
        if (now.ended() || out.gone()) {
          return now;
        }
        long seen = now.lines();
        now = run.await(status -> status.lines() > seen || status.ended(), out::gone);
      }
    }
  }

  private static void send(
      LogFollower log, int from, RunStatus now, int steps, Outbound<WatchResponse> out)
      throws IOException {
    for (List<String> lines = log.next(); !lines.isEmpty(); lines = log.next()) {
      for (String line : lines) {
        Figures figures = RunMessages.figures(line, now, steps);
        if (figures.getStep() >= from) {
          out.send(WatchResponse.newBuilder().setFigures(figures).build());
        }
      }
    }
  }
}
