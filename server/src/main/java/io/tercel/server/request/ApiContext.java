package io.tercel.server.request;

import io.tercel.server.answer.Sequencing;
import io.tercel.server.call.ApiException;
import io.tercel.server.call.JsonIntake;
import io.tercel.server.metrics.ServerMetrics;
import io.tercel.server.model.ServedModel;

/**
 * What all APIs of a served model share: its names, its figures, where bodies are read and how much
 * answers may keep.
 *
 * @param metrics of what is asked, to which others may be added
 * @param gathered memory of answers that are kept until they are whole
 */
public record ApiContext(
    ApiConfig config,
    ServedModel model,
    ServerMetrics metrics,
    JsonIntake intake,
    GatheredTokens gathered) {

  /** Of a model that nobody has asked yet. */
  public static ApiContext of(ApiConfig config, ServedModel model) {
    return new ApiContext(
        config,
        model,
        new ServerMetrics(config.modelNames().getFirst(), model),
        new JsonIntake(),
        new GatheredTokens());
  }

  /** What submits to its engine. */
  public Sequencing sequencing() {
    return new Sequencing(model, metrics);
  }

  /** Whether requests for tokens are admitted. */
  public boolean ready() {
    return model.engine().ready();
  }

  /**
   * Refuses where they are not.
   *
   * @throws ApiException 503
   */
  public void requireReady() {
    if (!ready()) {
      throw ApiException.unavailable("The server is not ready, or shutting down.");
    }
  }
}
