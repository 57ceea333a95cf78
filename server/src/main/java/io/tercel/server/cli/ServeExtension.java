package io.tercel.server.cli;

import io.tercel.server.UserException;
import io.tercel.server.grpc.GrpcService;
import io.tercel.server.metrics.ServerMetrics;
import io.tercel.server.model.RunningModel;
import java.util.List;
import java.util.function.Supplier;

/**
 * What another module lets a served model do besides: a class with picocli's options, which {@code
 * tercel serve} takes too, and a public constructor without arguments, found by {@link
 * java.util.ServiceLoader}. Without its options it does nothing.
 */
public interface ServeExtension {
  /**
   * Checks its options, before anything is loaded.
   *
   * @param grpc whether there is a gRPC port
   * @throws UserException that names the option
   */
  void check(boolean grpc);

  /**
   * What answers besides.
   *
   * @param metrics of the server, once that is made
   */
  List<GrpcService> services(RunningModel model, Supplier<ServerMetrics> metrics);

  /** Ends what it does; the model still answers, and is closed after. */
  void end() throws InterruptedException;
}
