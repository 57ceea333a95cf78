package io.tercel.server.request;

import com.fasterxml.jackson.databind.JsonNode;
import io.tercel.server.call.ApiException;
import java.util.List;

/**
 * Fields that are known but can't be honoured yet. To ignore them would be to answer another
 * question than was asked, so any value that means something is a 400.
 */
final class UnsupportedFields {
  private static final List<String> ALWAYS =
      List.of(
          "guided_grammar",
          "allowed_token_ids",
          "bad_words",
          "chat_template",
          "audio",
          "functions",
          "function_call",
          "suffix");
  private static final List<String> FLAGS = List.of("use_beam_search");

  private UnsupportedFields() {}

  /**
   * Refuses a request that uses one.
   *
   * @throws ApiException that names the field
   */
  static void check(RequestFields fields) {
    for (String name : ALWAYS) {
      JsonNode node = fields.get(name);
      if (node != null && !isEmpty(node)) {
        throw unsupported(fields, name);
      }
    }
    for (String name : FLAGS) {
      if (fields.bool(name, false)) {
        throw unsupported(fields, name);
      }
    }
  }

  private static boolean isEmpty(JsonNode node) {
    return (node.isContainerNode() && node.isEmpty())
        || (node.isTextual() && node.textValue().isEmpty());
  }

  private static ApiException unsupported(RequestFields fields, String name) {
    String path = fields.path(name);
    return ApiException.unsupported(path, path + " is not supported");
  }
}
