package io.tercel.server.cli;

import io.tercel.server.UserException;
import io.tercel.server.call.Keys;
import io.tercel.server.model.Release;
import io.tercel.server.model.RunningModel;
import io.tercel.server.model.ServingOptions;
import io.tercel.server.request.ApiConfig;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;

/**
 * A model served in this process, for the commands that need a server and were given a model
 * instead. They talk to it over the loopback interface, as to any other, so that what they get is
 * what its clients get.
 */
final class LocalServing implements RunningServer {
  private final RunningModel model;
  private final ModelServing serving;

  private LocalServing(RunningModel model, ModelServing serving) {
    this.model = model;
    this.serving = serving;
  }

  /**
   * Loads a model and serves it on a free port of the loopback interface; ready when this returns.
   *
   * @throws UserException if it can't be served
   */
  static LocalServing start(Path directory) {
    return start(directory, new ServingOptions().packedCache("auto"), List.of());
  }

  /**
   * The same, run as the options say.
   *
   * @param names what clients may call it; none for its directory's
   * @throws UserException if it can't be served
   */
  static LocalServing start(Path directory, ServingOptions options, List<String> names) {
    RunningModel model = RunningModel.open(directory, options, null, new LoadBar(System.err));
    try {
      ApiConfig api =
          new ApiConfig(
                  names.isEmpty() ? List.of(model.name()) : names,
                  Release.VERSION,
                  model::systemFingerprint)
              .allowingChoices(options.maxChoices());
      return new LocalServing(
          model,
          ModelServing.start(
              model,
              api,
              new ServeAddress(ServeAddress.LOOPBACK, 0, null),
              Keys.of(null, null),
              Duration.ofSeconds(1),
              List.of()));
    } catch (RuntimeException e) {
      model.close();
      throw e;
    }
  }

  @Override
  public URI url() {
    return serving.url();
  }

  @Override
  public void close() {
    serving.close();
    model.close();
  }
}
