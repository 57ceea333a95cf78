package io.tercel.trainer.student;

import io.tercel.server.UserException;
import io.tercel.server.cli.ServeExtension;
import io.tercel.server.grpc.GrpcService;
import io.tercel.server.metrics.ServerMetrics;
import io.tercel.server.model.RunningModel;
import io.tercel.trainer.api.TrainingService;
import io.tercel.trainer.share.ServedStudent;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** {@code tercel serve --training DIR}: what is served can be trained, by gRPC. */
public final class TrainingExtension implements ServeExtension {
  @Option(
      names = "--training",
      paramLabel = "DIR",
      description =
          "let whoever has the admin key train the served model, by gRPC's Training.Start: a"
              + " quantized one with its training-state; runs go into this folder")
  private @Nullable Path root;

  private @Nullable ServedTraining training;
  private @Nullable ServedStudent student;

  /** Found by the service loader. */
  public TrainingExtension() {}

  @Override
  public void check(boolean grpc) {
    if (root != null && !grpc) {
      throw new UserException("--training needs --grpc-port: runs are started by gRPC");
    }
  }

  @Override
  public List<GrpcService> services(RunningModel model, Supplier<ServerMetrics> metrics) {
    Path into = root;
    if (into == null) {
      return List.of();
    }
    try {
      Files.createDirectories(into);
    } catch (IOException e) {
      throw new UserException("--training: " + into + " cannot be made: " + e.getMessage(), e);
    }
    ServedTraining runs =
        new ServedTraining(
            into.toAbsolutePath().normalize(),
            model.directory(),
            () -> student(model, metrics.get()));
    training = runs;
    return List.of(new TrainingService(runs));
  }

  /** One for all runs, for its gauges are. */
  private ServedStudent student(RunningModel model, ServerMetrics metrics) {
    ServedStudent known = student;
    if (known == null) {
      known = ServedStudent.of(model, metrics);
      student = known;
    }
    return known;
  }

  @Override
  public void end() throws InterruptedException {
    if (training != null) {
      training.end();
    }
  }
}
