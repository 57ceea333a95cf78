package io.tercel.loadtests.data;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.MappingIterator;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * A file of conversations in ShareGPT's layout: a JSON list, or an object a line, of {@code
 * {"conversations": [{"from": "human", "value": "..."}, ...]}}; {@code messages} with {@code role}
 * and {@code content} are taken too. Read an element at a time: such files have hundreds of MiB.
 */
final class ConversationFile {
  private ConversationFile() {}

  /**
   * All that have two messages at least, as {@code vllm bench serve} has it.
   *
   * @throws DatasetException if an element can't be used (names its number), or none has two
   */
  static List<Conversation> read(Path file) throws IOException {
    List<Conversation> all = new ArrayList<>();
    int number = 0;
    try (MappingIterator<JsonNode> elements =
        new ObjectMapper().readerFor(JsonNode.class).readValues(file.toFile())) {
      while (elements.hasNextValue()) {
        number++;
        Conversation conversation =
            conversation(elements.nextValue(), file + ", conversation " + number);
        if (conversation.messages().size() >= 2) {
          all.add(conversation);
        }
      }
    } catch (JsonProcessingException e) {
      throw new DatasetException(
          "%s: not JSON behind conversation %d (line %d)"
              .formatted(file, number, e.getLocation().getLineNr()),
          e);
    }
    if (all.isEmpty()) {
      throw new DatasetException(
          file
              + ": no conversation of two messages; expected ShareGPT's layout, a list of"
              + " {\"conversations\": [{\"from\": ..., \"value\": ...}]}");
    }
    return all;
  }

  private static Conversation conversation(JsonNode node, String where) {
    JsonNode list = node.path("conversations");
    list = list.isMissingNode() ? node.path("messages") : list;
    if (!list.isArray()) {
      throw new DatasetException(where + ": has no list of conversations");
    }
    List<Conversation.Message> messages = new ArrayList<>();
    for (JsonNode message : list) {
      JsonNode from =
          message.path("from").isMissingNode() ? message.path("role") : message.path("from");
      JsonNode value =
          message.path("value").isMissingNode() ? message.path("content") : message.path("value");
      if (!from.isTextual() || !value.isTextual()) {
        throw new DatasetException(
            where + ": a message must have from and value, both texts; it has " + fields(message));
      }
      messages.add(new Conversation.Message(Conversation.Role.of(from.asText()), value.asText()));
    }
    return new Conversation(messages);
  }

  private static String fields(JsonNode message) {
    List<String> names = new ArrayList<>();
    message.fieldNames().forEachRemaining(names::add);
    return names.toString();
  }
}
