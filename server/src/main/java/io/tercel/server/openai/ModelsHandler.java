package io.tercel.server.openai;

import io.tercel.server.call.ApiException;
import io.tercel.server.http.Exchange;
import io.tercel.server.model.ServedModel;
import io.tercel.server.openai.wire.ModelCard;
import io.tercel.server.openai.wire.ModelList;
import io.tercel.server.request.ApiConfig;
import java.time.temporal.ChronoUnit;

/** {@code GET /v1/models} and one model below it, whose id may have slashes, encoded or not. */
final class ModelsHandler {
  static final String BELOW = "/v1/models/";

  private final ApiConfig config;
  private final ServedModel model;

  ModelsHandler(ApiConfig config, ServedModel model) {
    this.config = config;
    this.model = model;
  }

  void list(Exchange exchange) {
    exchange.json(200, ModelList.of(config.modelNames().stream().map(this::card).toList()));
  }

  void one(Exchange exchange) {
    String id = exchange.pathBelow(BELOW);
    if (!config.modelNames().contains(id)) {
      throw ApiException.modelNotFound(id);
    }
    exchange.json(200, card(id));
  }

  private ModelCard card(String id) {
    return new ModelCard(
        id,
        "model",
        model.created().getEpochSecond(),
        "tercel",
        config.modelNames().getFirst(),
        model.maxModelLen(),
        "model",
        id,
        model.created().truncatedTo(ChronoUnit.SECONDS).toString(),
        "active",
        model.maxModelLen(),
        model.maxModelLen());
  }
}
