package io.tercel.server.openai;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.util.RawValue;
import io.tercel.server.call.ApiException;
import io.tercel.server.call.Json;
import io.tercel.server.request.RequestFields;
import org.jspecify.annotations.Nullable;

/**
 * A request's settings as its answer repeats them. They stay in memory until the answer has ended,
 * however long the request waits: so they are kept as text, a tree would take up to twenty times as
 * much, and there may not be too much of it.
 *
 * @param instructions as given, and so the next two; null where they are absent
 */
record ResponseSettings(
    @Nullable JsonNode instructions,
    @Nullable JsonNode maxOutputTokens,
    @Nullable JsonNode reasoning,
    JsonNode metadata,
    @Nullable String previousResponseId,
    boolean parallelToolCalls,
    JsonNode text,
    JsonNode toolChoice,
    JsonNode tools) {
  /** Of the longest setting, in characters; a hundred tools are well below. */
  private static final int MAX_LENGTH = 256 << 10;

  private static final int MAX_METADATA = 16;
  private static final int MAX_METADATA_LENGTH = 512;

  /**
   * Reads them.
   *
   * @throws ApiException if one is too large, or metadata isn't pairs of strings
   */
  static ResponseSettings of(RequestFields fields) {
    checkMetadata(fields);
    return new ResponseSettings(
        fields.get("instructions"), // as long as the prompt at most
        fields.get("max_output_tokens"),
        kept(fields, "reasoning"),
        or(kept(fields, "metadata"), Json.MAPPER.createObjectNode()),
        fields.string("previous_response_id"),
        fields.bool("parallel_tool_calls", true),
        or(kept(fields, "text"), plainText()),
        or(kept(fields, "tool_choice"), Json.MAPPER.getNodeFactory().textNode("auto")),
        or(kept(fields, "tools"), Json.MAPPER.createArrayNode()));
  }

  /** OpenAI's limits. */
  private static void checkMetadata(RequestFields fields) {
    RequestFields metadata = fields.fields("metadata");
    if (metadata == null) {
      return;
    }
    RequestFields.requireSize(metadata.object(), fields.path("metadata"), MAX_METADATA);
    for (var pair : metadata.object().properties()) {
      String path = metadata.path(pair.getKey());
      if (RequestFields.string(pair.getValue(), path).length() > MAX_METADATA_LENGTH) {
        throw ApiException.invalid(
            path, path + " may have at most " + MAX_METADATA_LENGTH + " characters");
      }
    }
  }

  private static @Nullable JsonNode kept(RequestFields fields, String name) {
    JsonNode node = fields.get(name);
    if (node == null) {
      return null;
    }
    String json = node.toString();
    if (json.length() > MAX_LENGTH) {
      throw ApiException.invalid(
          fields.path(name),
          "%s is too large to be repeated in the answer: it may have at most %d characters"
              .formatted(fields.path(name), MAX_LENGTH));
    }
    return Json.MAPPER.getNodeFactory().rawValueNode(new RawValue(json));
  }

  private static JsonNode or(@Nullable JsonNode given, JsonNode absent) {
    return given == null ? absent : given;
  }

  private static ObjectNode plainText() {
    ObjectNode text = Json.MAPPER.createObjectNode();
    text.putObject("format").put("type", "text");
    return text;
  }
}
