package io.tercel.server.api;

import com.fasterxml.jackson.databind.JsonNode;
import io.tercel.server.api.wire.Detokenized;
import io.tercel.server.api.wire.Tokenized;
import java.util.Arrays;
import java.util.List;

/**
 * {@code POST /tokenize} and {@code POST /detokenize}, as vLLM has them: a text or a conversation
 * to ids exactly as the completion routes would make them, and back.
 */
final class TokenizeHandler {
  private final HttpServerConfig config;
  private final ServedModel model;

  TokenizeHandler(HttpServerConfig config, ServedModel model) {
    this.config = config;
    this.model = model;
  }

  void tokenize(Exchange exchange) {
    RequestFields fields = new RequestFields(exchange.readJson());
    CommonFields.model(fields, config);
    boolean chat = fields.has("messages");
    if (chat == fields.has("prompt")) {
      throw ApiException.invalid(
          "prompt", "either prompt, a text, or messages, a conversation, is required");
    }
    String text =
        chat
            ? ChatPrompt.render(fields, model.chatTemplate())
            : RequestFields.string(fields.require("prompt"), "prompt");
    boolean strings = fields.bool("return_token_strs", false);
    int[] ids = model.tokenizer().encode(text, fields.bool("add_special_tokens", !chat));
    List<String> tokens =
        strings
            ? Arrays.stream(ids).mapToObj(id -> model.tokenizer().tokenText(id)).toList()
            : null;
    exchange.json(200, new Tokenized(ids.length, model.maxModelLen(), ids, tokens));
  }

  void detokenize(Exchange exchange) {
    RequestFields fields = new RequestFields(exchange.readJson());
    CommonFields.model(fields, config);
    JsonNode tokens = fields.require("tokens");
    fields.array("tokens");
    int[] ids = new int[tokens.size()];
    for (int i = 0; i < ids.length; i++) {
      ids[i] = RequestFields.integer(tokens.get(i), "tokens[" + i + "]", 0, Integer.MAX_VALUE);
    }
    exchange.json(200, new Detokenized(model.tokenizer().decode(ids, false)));
  }
}
