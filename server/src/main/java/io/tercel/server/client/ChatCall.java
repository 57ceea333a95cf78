package io.tercel.server.client;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A chat completion to ask for; what is null is left to the server.
 *
 * @param maxTokens thinking included
 */
public record ChatCall(
    String model,
    List<ChatTurn> turns,
    @Nullable Double temperature,
    @Nullable Double topP,
    @Nullable Integer maxTokens,
    @Nullable Long seed) {

  public ChatCall {
    turns = List.copyOf(turns);
  }

  /** The request's body: streamed, with usage at the end. */
  ObjectNode body() {
    ObjectNode body = JsonNodeFactory.instance.objectNode();
    body.put("model", model);
    ArrayNode messages = body.putArray("messages");
    for (ChatTurn turn : turns) {
      messages.addObject().put("role", turn.role()).put("content", turn.content());
    }
    body.put("stream", true).putObject("stream_options").put("include_usage", true);
    if (temperature != null) {
      body.put("temperature", temperature);
    }
    if (topP != null) {
      body.put("top_p", topP);
    }
    if (maxTokens != null) {
      body.put("max_completion_tokens", maxTokens);
    }
    if (seed != null) {
      body.put("seed", seed);
    }
    return body;
  }
}
