package io.tercel.server.openai;

import com.fasterxml.jackson.databind.JsonNode;
import io.tercel.server.call.ApiException;
import io.tercel.server.call.JsonIntake;
import io.tercel.server.http.Exchange;
import io.tercel.server.model.ServedModel;
import io.tercel.server.openai.wire.Detokenized;
import io.tercel.server.openai.wire.Tokenized;
import io.tercel.server.request.ApiConfig;
import io.tercel.server.request.ApiContext;
import io.tercel.server.request.ChatPrompt;
import io.tercel.server.request.CommonFields;
import io.tercel.server.request.RequestFields;
import io.tercel.server.request.Truncation;
import java.util.Arrays;
import java.util.List;

/**
 * {@code POST /tokenize} and {@code POST /detokenize}, as vLLM has them: a text or a conversation
 * to ids exactly as the completion routes would make them, and back.
 */
final class TokenizeHandler {
  private final ApiConfig config;
  private final ServedModel model;
  private final JsonIntake intake;

  TokenizeHandler(ApiContext context) {
    this.config = context.config();
    this.model = context.model();
    this.intake = context.intake();
  }

  void tokenize(Exchange exchange) throws InterruptedException {
    exchange.json(200, exchange.read(intake, body -> tokenized(new RequestFields(body))));
  }

  private Tokenized tokenized(RequestFields fields) {
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
    Truncation truncation = Truncation.read(fields);
    CommonFields.checkBytes(chat ? "messages" : "prompt", text, truncation, model);
    boolean strings = fields.bool("return_token_strs", false);
    int[] whole = model.tokenizer().encode(text, fields.bool("add_special_tokens", !chat));
    int[] ids = truncation.of(whole, -1, model);
    List<String> tokens =
        strings
            ? Arrays.stream(ids).mapToObj(id -> model.tokenizer().tokenText(id)).toList()
            : null;
    return new Tokenized(ids.length, model.maxModelLen(), ids, tokens);
  }

  void detokenize(Exchange exchange) throws InterruptedException {
    exchange.json(200, exchange.read(intake, body -> detokenized(new RequestFields(body))));
  }

  private Detokenized detokenized(RequestFields fields) {
    CommonFields.model(fields, config);
    JsonNode tokens = fields.require("tokens");
    fields.array("tokens");
    int[] ids = new int[tokens.size()];
    for (int i = 0; i < ids.length; i++) {
      ids[i] = RequestFields.integer(tokens.get(i), "tokens[" + i + "]", 0, Integer.MAX_VALUE);
    }
    return new Detokenized(model.tokenizer().decode(ids, false));
  }
}
