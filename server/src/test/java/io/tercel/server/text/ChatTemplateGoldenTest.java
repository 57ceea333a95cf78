package io.tercel.server.text;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.tercel.server.text.jinja.TemplateException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Published templates, byte for byte against other interpreters; see src/test/goldens/README.md.
 */
final class ChatTemplateGoldenTest {
  private static final Path GOLDENS = Path.of("src/test/goldens");
  private static final Path RESOURCES = Path.of("src/test/resources/io/tercel/server/text");
  private static final ObjectMapper MAPPER = new ObjectMapper();

  @ParameterizedTest
  @ValueSource(
      strings = {
        "qwen3",
        "qwen3-thinking-2507",
        "qwen3.5",
        "qwen2.5",
        "qwq-32b",
        "deepseek-r1-distill-qwen",
        "specimen"
      })
  void renders_asOthersDo(String name) throws IOException {
    JsonNode tokens = MAPPER.readTree(GOLDENS.resolve("special-tokens.json").toFile()).get(name);
    ChatTemplate template =
        ChatTemplate.parse(
            Files.readString(RESOURCES.resolve("templates/" + name + ".jinja")),
            MAPPER.convertValue(tokens, new TypeReference<Map<String, String>>() {}));
    JsonNode conversations = MAPPER.readTree(GOLDENS.resolve("conversations.json").toFile());
    JsonNode goldens = MAPPER.readTree(RESOURCES.resolve("goldens/" + name + ".json").toFile());
    assertEquals(conversations.size(), goldens.size());
    assertTrue(conversations.size() >= 25);
    for (int i = 0; i < conversations.size(); i++) {
      JsonNode conversation = conversations.get(i);
      JsonNode golden = goldens.get(i);
      String label = name + ": " + conversation.get("name").asText();
      if (golden.has("text")) {
        assertEquals(golden.get("text").asText(), render(template, conversation), label);
      } else {
        assertThrows(TemplateException.class, () -> render(template, conversation), label);
      }
    }
  }

  private static String render(ChatTemplate template, JsonNode conversation) {
    List<Map<String, Object>> messages = new ArrayList<>();
    for (JsonNode message : conversation.get("messages")) {
      messages.add(MAPPER.convertValue(message, new TypeReference<>() {}));
    }
    return template.render(
        messages,
        MAPPER.convertValue(conversation.get("tools"), new TypeReference<List<Object>>() {}),
        conversation.get("add_generation_prompt").asBoolean(),
        MAPPER.convertValue(
            conversation.get("kwargs"), new TypeReference<Map<String, Object>>() {}));
  }
}
