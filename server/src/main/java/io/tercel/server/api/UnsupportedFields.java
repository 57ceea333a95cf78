package io.tercel.server.api;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;

/**
 * Fields that are known but can't be honoured yet. To ignore them would be to answer another
 * question than was asked, so any value that means something is a 400.
 */
final class UnsupportedFields {
  private static final List<String> ALWAYS =
      List.of(
          "structured_outputs",
          "guided_json",
          "guided_regex",
          "guided_choice",
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
    checkResponseFormat(fields);
    checkToolChoice(fields);
  }

  private static void checkResponseFormat(RequestFields fields) {
    RequestFields format = fields.fields("response_format");
    if (format != null) {
      String type = RequestFields.string(format.require("type"), format.path("type"));
      if (!type.equals("text")) {
        String path = fields.path("response_format");
        throw ApiException.unsupported(path, path + " of type '" + type + "' is not supported yet");
      }
    }
  }

  private static void checkToolChoice(RequestFields fields) {
    JsonNode choice = fields.get("tool_choice");
    if (choice == null) {
      return;
    }
    boolean plain = choice.isTextual() && List.of("none", "auto").contains(choice.textValue());
    if (!plain) {
      String path = fields.path("tool_choice");
      throw ApiException.unsupported(path, path + " must be 'auto' or 'none' yet");
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
