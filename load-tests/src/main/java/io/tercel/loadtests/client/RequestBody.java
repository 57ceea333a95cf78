package io.tercel.loadtests.client;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.loadtests.data.LoadRequest;
import io.tercel.loadtests.data.Prompt;

/**
 * Writes the bodies of requests: streamed, with the usage at the end.
 *
 * @param chat for a chat endpoint
 * @param extra fields for all requests (sampling, ignore_eos); they win over all others
 */
record RequestBody(boolean chat, String model, ObjectNode extra) {
  private static final ObjectMapper MAPPER = new ObjectMapper();

  byte[] of(LoadRequest request) {
    ObjectNode body = MAPPER.createObjectNode();
    body.put("model", model);
    switch (request.prompt()) {
      case Prompt.Text text -> {
        if (chat) {
          body.putArray("messages").addObject().put("role", "user").put("content", text.text());
        } else {
          body.put("prompt", text.text());
        }
      }
      case Prompt.Messages messages -> body.set("messages", messages.messages());
      case Prompt.TokenIds ids -> {
        ArrayNode prompt = body.putArray("prompt");
        for (int i = 0; i < ids.size(); i++) {
          prompt.add(ids.id(i));
        }
      }
    }
    if (request.maxTokens() > 0) {
      body.put(chat ? "max_completion_tokens" : "max_tokens", request.maxTokens());
    }
    if (!request.tags().serviceClass().isEmpty()) {
      body.put("service_class", request.tags().serviceClass());
    }
    if (!request.tags().groupId().isEmpty()) {
      body.put("group_id", request.tags().groupId());
    }
    body.put("seed", request.seed());
    body.put("stream", true).putObject("stream_options").put("include_usage", true);
    body.setAll(extra);
    try {
      return MAPPER.writeValueAsBytes(body);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e); // a tree of plain values
    }
  }
}
