package io.tercel.loadtests.client;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.loadtests.data.LoadRequest;
import io.tercel.loadtests.data.Prompt;
import io.tercel.proto.v1.GenerateRequest;
import io.tercel.proto.v1.TokenIds;

/** Makes the messages of {@code Inference.Generate} from the fields that the HTTP API has. */
final class GenerateFields {
  private final GenerateRequest common;

  private GenerateFields(GenerateRequest common) {
    this.common = common;
  }

  static GenerateFields none() {
    return new GenerateFields(GenerateRequest.getDefaultInstance());
  }

  /**
   * What all requests have in common.
   *
   * @throws TargetException if a field is not known here
   */
  static GenerateFields of(String model, ObjectNode extra) {
    GenerateRequest.Builder common = GenerateRequest.newBuilder().setModel(model);
    extra.properties().forEach(field -> set(common, field.getKey(), field.getValue()));
    return new GenerateFields(common.build());
  }

  private static void set(GenerateRequest.Builder request, String field, JsonNode value) {
    switch (field) {
      case "temperature" -> request.setTemperature(value.floatValue());
      case "top_p" -> request.setTopP(value.floatValue());
      case "top_k" -> request.setTopK(value.intValue());
      case "min_p" -> request.setMinP(value.floatValue());
      case "presence_penalty" -> request.setPresencePenalty(value.floatValue());
      case "frequency_penalty" -> request.setFrequencyPenalty(value.floatValue());
      case "repetition_penalty" -> request.setRepetitionPenalty(value.floatValue());
      case "min_tokens" -> request.setMinTokens(value.intValue());
      case "ignore_eos" -> request.setIgnoreEos(value.booleanValue());
      case "priority" -> request.setPriority(value.intValue());
      case "service_class" -> request.setServiceClass(value.textValue());
      case "stale_kv" -> request.setStaleKv(value.textValue());
      case "group_id" -> request.setGroupId(value.textValue());
      case "thinking_token_budget" -> request.setThinkingTokenBudget(value.intValue());
      case "loop_breaker" -> request.setLoopBreaker(value.booleanValue());
      case "return_text" -> request.setReturnText(value.booleanValue());
      default ->
          throw new TargetException(
              "--extra-body: Generate takes no '" + field + "' from here; leave it out");
    }
  }

  GenerateRequest of(LoadRequest request) {
    GenerateRequest.Builder message = common.toBuilder().setSeed(request.seed());
    switch (request.prompt()) {
      case Prompt.Text text -> message.setText(text.text());
      case Prompt.TokenIds ids -> {
        TokenIds.Builder list = TokenIds.newBuilder();
        for (int i = 0; i < ids.size(); i++) {
          list.addIds(ids.id(i));
        }
        message.setTokenIds(list);
      }
      case Prompt.Messages _ ->
          throw new IllegalArgumentException("messages are for ChatCompletions");
    }
    if (!request.tags().serviceClass().isEmpty()) {
      message.setServiceClass(request.tags().serviceClass());
    }
    if (!request.tags().groupId().isEmpty()) {
      message.setGroupId(request.tags().groupId());
    }
    if (request.maxTokens() > 0) {
      message.setMaxTokens(request.maxTokens());
    }
    return message.build();
  }
}
