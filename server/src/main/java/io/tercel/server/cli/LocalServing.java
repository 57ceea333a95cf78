package io.tercel.server.cli;

import io.tercel.server.UserException;
import io.tercel.server.http.HttpServer;
import io.tercel.server.http.HttpServerConfig;
import io.tercel.server.model.Release;
import io.tercel.server.model.RunningModel;
import io.tercel.server.model.ServingOptions;
import io.tercel.server.openai.ApiConfig;
import io.tercel.server.openai.InferenceApi;
import io.tercel.server.openai.Routes;
import java.io.IOException;
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
  private final HttpServer server;

  private LocalServing(RunningModel model, HttpServer server) {
    this.model = model;
    this.server = server;
  }

  /**
   * Loads a model and serves it on a free port of the loopback interface; ready when this returns.
   *
   * @throws UserException if it can't be served
   */
  static LocalServing start(Path directory) {
    RunningModel model =
        RunningModel.open(
            directory, new ServingOptions().packedCache("auto"), null, new LoadBar(System.err));
    try {
      ApiConfig api =
          new ApiConfig(List.of(model.name()), Release.VERSION, model::systemFingerprint);
      HttpServerConfig config =
          HttpServerConfig.builder("127.0.0.1", 0).drainTimeout(Duration.ofSeconds(1)).build();
      HttpServer server = new HttpServer(config, new Routes(new InferenceApi(api, model.served())));
      server.start();
      return new LocalServing(model, server);
    } catch (IOException | RuntimeException e) {
      model.close();
      throw e instanceof RuntimeException r
          ? r
          : new UserException(String.valueOf(e.getMessage()), e);
    }
  }

  @Override
  public URI url() {
    return URI.create("http://127.0.0.1:" + server.port());
  }

  @Override
  public void close() {
    server.close();
    model.close();
  }
}
