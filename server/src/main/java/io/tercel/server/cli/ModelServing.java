package io.tercel.server.cli;

import io.tercel.server.UserException;
import io.tercel.server.call.Keys;
import io.tercel.server.grpc.GrpcServer;
import io.tercel.server.grpc.GrpcService;
import io.tercel.server.http.HttpServer;
import io.tercel.server.http.HttpServerConfig;
import io.tercel.server.metrics.ServerMetrics;
import io.tercel.server.model.Release;
import io.tercel.server.model.RunningModel;
import io.tercel.server.request.ApiConfig;
import java.io.IOException;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A running model on ports of this process, for those who have one for another purpose too: a
 * command that talks to a model it was given, a trainer that lets its student answer. The model is
 * not closed with it.
 */
public final class ModelServing implements RunningServer {
  private static final Logger log = LoggerFactory.getLogger(ModelServing.class);

  private final Endpoints endpoints;
  private final ServeAddress address;

  private ModelServing(Endpoints endpoints, ServeAddress address) {
    this.endpoints = endpoints;
    this.address = address;
  }

  /**
   * Ready when this returns.
   *
   * @param drainTimeout what requests that run have at {@link #drain}
   * @param services of gRPC, besides those of a model; they need a gRPC port
   * @throws UserException if an address can't be had
   */
  public static ModelServing start(
      RunningModel model,
      ServeAddress address,
      Keys keys,
      Duration drainTimeout,
      List<GrpcService> services) {
    ApiConfig api = new ApiConfig(List.of(model.name()), Release.VERSION, model::systemFingerprint);
    return start(model, api, address, keys, drainTimeout, services);
  }

  /**
   * The same of a model that is called otherwise.
   *
   * @param api what it is called, and what clients may ask for
   */
  static ModelServing start(
      RunningModel model,
      ApiConfig api,
      ServeAddress address,
      Keys keys,
      Duration drainTimeout,
      List<GrpcService> services) {
    HttpServerConfig config =
        HttpServerConfig.builder(address.host(), address.port())
            .keys(keys)
            .drainTimeout(drainTimeout)
            .build();
    Endpoints endpoints =
        Endpoints.of(model, api, config, address.grpcPort(), null, true, services);
    try {
      endpoints.start();
      if (!keys.guardClients() && !config.loopback()) {
        log.warn(
            "bound to {} without an API key; everyone who reaches it may use it", address.host());
      }
      return new ModelServing(endpoints, address);
    } catch (IOException e) {
      endpoints.close();
      throw new UserException(String.valueOf(e.getMessage()), e);
    } catch (RuntimeException e) {
      endpoints.close();
      throw e;
    }
  }

  @Override
  public URI url() {
    HttpServer http = endpoints.http();
    String host = address.host().indexOf(':') < 0 ? address.host() : "[" + address.host() + "]";
    return URI.create("http://" + host + ":" + http.port());
  }

  /** Null where there is no gRPC. */
  public @Nullable Integer grpcPort() {
    GrpcServer grpc = endpoints.grpc();
    return grpc == null ? null : grpc.port();
  }

  /** Whether only this machine reaches it. */
  public boolean loopback() {
    return endpoints.http().config().loopback();
  }

  /** The figures at {@code /metrics}, to which others may be added. */
  public ServerMetrics metrics() {
    return endpoints.api().metrics();
  }

  /**
   * Admits no more, and has what runs answered to its end, as long as the drain timeout allows.
   *
   * @return what was done, in one line
   */
  public String drain() throws InterruptedException {
    return endpoints.drain();
  }

  @Override
  public void close() {
    endpoints.close();
  }
}
