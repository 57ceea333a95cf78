package io.tercel.server.anthropic;

import com.fasterxml.jackson.databind.JsonNode;
import io.tercel.server.call.ApiException;
import io.tercel.server.call.Json;
import io.tercel.server.request.RequestFields;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * Content as clients send it: a string, or blocks of several types. Paths have the places of blocks
 * between full stops, {@code messages.0.content.1.text}. What blocks carry besides, such as {@code
 * cache_control}, means nothing here.
 */
final class Blocks {
  private Blocks() {}

  /** One block, and where it stands. */
  record Block(String type, RequestFields fields) {
    String string(String name) {
      return RequestFields.string(fields.require(name), fields.path(name));
    }
  }

  /**
   * Reads the blocks of a field; a string is one text.
   *
   * @param types that may stand there
   * @throws ApiException that names the block, if one is of another type
   */
  static List<Block> read(JsonNode content, String path, Set<String> types) {
    if (content.isTextual()) {
      RequestFields text = new RequestFields(Json.MAPPER.createObjectNode().set("text", content));
      return List.of(new Block("text", text));
    }
    if (!content.isArray()) {
      throw RequestFields.wrongType(path, "a string or an array of blocks", content);
    }
    List<Block> blocks = new ArrayList<>();
    for (int i = 0; i < content.size(); i++) {
      RequestFields fields = RequestFields.of(content.get(i), path + "." + i);
      String type = RequestFields.string(fields.require("type"), fields.path("type"));
      if (!types.contains(type)) {
        throw refused(fields.path("type"), type, types);
      }
      blocks.add(new Block(type, fields));
    }
    return blocks;
  }

  /** The texts of a field in which there can be nothing else. */
  static String text(JsonNode content, String path) {
    return joined(read(content, path, Set.of("text")));
  }

  /** The texts among blocks, a line each; empty ones are none. */
  static String joined(List<Block> blocks) {
    List<String> texts = new ArrayList<>();
    for (Block block : blocks) {
      if (block.type().equals("text") && !block.string("text").isEmpty()) {
        texts.add(block.string("text"));
      }
    }
    return String.join("\n", texts);
  }

  private static ApiException refused(String path, String type, Set<String> types) {
    String shown = type.length() > 40 ? type.substring(0, 40) + "…" : type;
    return ApiException.unsupported(
        path,
        "%s must be %s, not '%s': this model reads and writes text only"
            .formatted(path, String.join(" or ", types.stream().sorted().toList()), shown));
  }
}
