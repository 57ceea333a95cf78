package io.tercel.server.batch;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.server.call.ApiException;
import io.tercel.server.call.Json;
import io.tercel.server.request.RequestFields;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A request of a file: a line of OpenAI's batch files, or the body of a request alone.
 *
 * @param number of the line, from 1
 * @param customId the line's own, or {@code line-} and its number
 * @param path of the route that it is for
 * @param body null where the line is no request
 * @param sequences how many choices it asks for, as far as it can be told
 * @param fault why it is no request
 */
record BatchLine(
    int number,
    String customId,
    String path,
    @Nullable ObjectNode body,
    int sequences,
    @Nullable String fault) {
  private static final String CHAT = "/v1/chat/completions";
  private static final String COMPLETIONS = "/v1/completions";
  private static final String RESPONSES = "/v1/responses";
  private static final List<String> ROUTES = List.of(CHAT, COMPLETIONS, RESPONSES);

  /**
   * What a line says.
   *
   * @param number of it, from 1
   */
  static BatchLine of(int number, byte[] json, BatchDefaults defaults) {
    String id = "line-" + number;
    try {
      RequestFields fields = new RequestFields(Json.parseObject(json, "this line"));
      if (fields.has("custom_id")) {
        id = RequestFields.string(fields.require("custom_id"), "custom_id");
      }
      return read(number, id, fields, defaults);
    } catch (ApiException e) {
      return new BatchLine(number, id, "", null, 1, e.getMessage());
    }
  }

  private static BatchLine read(
      int number, String id, RequestFields fields, BatchDefaults defaults) {
    RequestFields body = fields;
    String url;
    if (fields.has("custom_id") || fields.has("body") || fields.has("url")) {
      String method = fields.string("method");
      if (method != null && !method.equals("POST")) {
        throw ApiException.invalid("method", "method must be POST, not '" + method + "'");
      }
      url = RequestFields.string(fields.require("url"), "url");
      if (!ROUTES.contains(url)) {
        throw ApiException.invalid(
            "url", "url must be one of %s, not '%s'".formatted(String.join(", ", ROUTES), url));
      }
      body = RequestFields.of(fields.require("body"), "body");
    } else if (fields.has("messages")) {
      url = CHAT;
    } else if (fields.has("prompt")) {
      url = COMPLETIONS;
    } else {
      throw ApiException.invalid(
          "body",
          "the line must have custom_id, url and body, or be a body itself, with messages or a"
              + " prompt");
    }
    if (body.bool("stream", false)) {
      throw ApiException.invalid(
          body.path("stream"), body.path("stream") + " must be false: answers in a file are whole");
    }
    ObjectNode complete = defaults.addTo(body.object(), url.equals(RESPONSES));
    return new BatchLine(number, id, url, complete, sequences(complete), null);
  }

  /** What the server makes of it otherwise, it says itself. */
  private static int sequences(ObjectNode body) {
    int n = Math.max(1, body.path("n").asInt(1));
    JsonNode prompt = body.path("prompt");
    boolean several = prompt.isArray() && prompt.size() > 0 && !prompt.get(0).isNumber();
    return Math.clamp((long) n * (several ? prompt.size() : 1), 1, 1 << 20);
  }
}
