package io.tercel.server.anthropic;

import io.tercel.server.anthropic.wire.TokenCount;
import io.tercel.server.http.Exchange;
import io.tercel.server.http.Handler;
import io.tercel.server.request.ApiContext;
import io.tercel.server.request.RequestFields;

/**
 * {@code POST /v1/messages/count_tokens}: how many tokens the prompt of a message would have, by
 * making that prompt.
 */
final class CountTokensHandler implements Handler {
  private final ApiContext context;

  CountTokensHandler(ApiContext context) {
    this.context = context;
  }

  @Override
  public void handle(Exchange exchange) throws InterruptedException {
    exchange.json(
        200,
        exchange.read(
            context.intake(),
            body -> new TokenCount(MessagesFields.promptTokens(new RequestFields(body), context))));
  }
}
