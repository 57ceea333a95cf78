package io.tercel.server.anthropic;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.server.call.ApiException;
import io.tercel.server.request.RequestFields;
import java.util.HashSet;
import java.util.Set;

/** Puts the fields {@code tools} and {@code tool_choice} into those that every API shares. */
final class ToolFields {
  private final RequestFields fields;
  private final ObjectNode chat;

  private ToolFields(RequestFields fields, ObjectNode chat) {
    this.fields = fields;
    this.chat = chat;
  }

  /**
   * Reads both.
   *
   * @param chat gets them
   * @throws ApiException that names the field to blame
   */
  static void put(RequestFields fields, ObjectNode chat) {
    ToolFields tools = new ToolFields(fields, chat);
    tools.tools();
    tools.choice();
  }

  private void tools() {
    ArrayNode tools = fields.array("tools");
    if (tools == null) {
      return;
    }
    Set<String> names = new HashSet<>();
    ArrayNode all = chat.putArray("tools");
    for (int i = 0; i < tools.size(); i++) {
      RequestFields tool = RequestFields.of(tools.get(i), "tools." + i);
      requireCustom(tool);
      String name = RequestFields.string(tool.require("name"), tool.path("name"));
      if (name.isEmpty() || !names.add(name)) {
        throw ApiException.invalid(
            tool.path("name"), tool.path("name") + " must be a name that no other tool has");
      }
      ObjectNode function = all.addObject().put("type", "function").putObject("function");
      function.put("name", name);
      String description = tool.string("description");
      if (description != null) {
        function.put("description", description);
      }
      function.set(
          "parameters",
          RequestFields.of(tool.require("input_schema"), tool.path("input_schema")).object());
    }
  }

  /** Tools that Anthropic's servers run, or whose schema only its models know. */
  private static void requireCustom(RequestFields tool) {
    String type = tool.string("type");
    if (type != null && !type.equals("custom")) {
      throw ApiException.unsupported(
          tool.path("type"),
          "%s must be custom, not '%s': no tool is run or known here; offer one with a name and an input_schema"
              .formatted(
                  tool.path("type"), type.length() > 40 ? type.substring(0, 40) + "…" : type));
    }
  }

  private void choice() {
    RequestFields choice = fields.fields("tool_choice");
    if (choice == null) {
      return;
    }
    String type = RequestFields.string(choice.require("type"), choice.path("type"));
    switch (type) {
      case "auto", "none" -> chat.put("tool_choice", type);
      case "any" -> chat.put("tool_choice", "required");
      case "tool" -> {
        String name = RequestFields.string(choice.require("name"), choice.path("name"));
        chat.putObject("tool_choice")
            .put("type", "function")
            .putObject("function")
            .put("name", name);
      }
      default ->
          throw ApiException.invalid(
              choice.path("type"),
              "%s must be auto, any, tool or none, not '%s'"
                  .formatted(
                      choice.path("type"),
                      type.length() > 40 ? type.substring(0, 40) + "…" : type));
    }
    chat.put("parallel_tool_calls", !choice.bool("disable_parallel_tool_use", false));
  }
}
