package io.tercel.loadtests.data;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Prompts of a file, a JSON object a line: {@code {"prompt": "..."}} or {@code {"messages":
 * [...]}}, each with {@code max_tokens} or without. They are asked in their order, and again from
 * the beginning when they run out.
 */
public final class JsonlDataset implements Dataset {
  private record Line(Prompt prompt, int maxTokens) {}

  private final List<Line> lines;
  private final long seed;

  private JsonlDataset(List<Line> lines, long seed) {
    this.lines = lines;
    this.seed = seed;
  }

  /**
   * Reads a file.
   *
   * @param chat messages are allowed
   * @param maxTokens for lines that don't say; 0 leaves it to the server
   * @throws DatasetException if a line can't be used (names its number), or there is none
   */
  public static JsonlDataset read(Path file, boolean chat, int maxTokens, long seed)
      throws IOException {
    ObjectMapper mapper = new ObjectMapper();
    List<Line> lines = new ArrayList<>();
    try (BufferedReader reader = Files.newBufferedReader(file, StandardCharsets.UTF_8)) {
      int number = 0;
      for (String text = reader.readLine(); text != null; text = reader.readLine()) {
        number++;
        if (!text.isBlank()) {
          lines.add(line(mapper, text, file + ", line " + number, chat, maxTokens));
        }
      }
    }
    if (lines.isEmpty()) {
      throw new DatasetException(file + ": no prompts; expected a JSON object a line");
    }
    return new JsonlDataset(lines, seed);
  }

  private static Line line(
      ObjectMapper mapper, String text, String where, boolean chat, int maxTokens) {
    JsonNode node;
    try {
      node = mapper.readTree(text);
    } catch (JsonProcessingException e) {
      throw new DatasetException(
          where + ": not JSON from column " + e.getLocation().getColumnNr() + " on", e);
    }
    if (!node.isObject()) {
      throw new DatasetException(where + ": expected an object with prompt or messages");
    }
    JsonNode max = node.path("max_tokens");
    if (!max.isMissingNode() && !(max.isInt() && max.asInt() >= 1)) {
      throw new DatasetException(where + ": max_tokens is " + max + "; expected at least 1");
    }
    return new Line(prompt(node, where, chat), max.asInt(maxTokens));
  }

  private static Prompt prompt(JsonNode node, String where, boolean chat) {
    JsonNode messages = node.path("messages");
    JsonNode prompt = node.path("prompt");
    if (messages.isMissingNode() == prompt.isMissingNode()) {
      throw new DatasetException(where + ": expected either prompt or messages");
    }
    if (prompt.isTextual() && !prompt.asText().isEmpty()) {
      return new Prompt.Text(prompt.asText());
    }
    if (!prompt.isMissingNode()) {
      throw new DatasetException(where + ": prompt must be a text that is not empty");
    }
    if (!chat) {
      throw new DatasetException(
          where + ": messages need a chat endpoint; add --endpoint /v1/chat/completions");
    }
    if (!messages.isArray() || messages.isEmpty()) {
      throw new DatasetException(where + ": messages must be a list that is not empty");
    }
    for (JsonNode message : messages) {
      if (!message.path("role").isTextual()) {
        throw new DatasetException(where + ": a message has no role");
      }
    }
    return new Prompt.Messages(messages);
  }

  /** How many lines there are. */
  public int size() {
    return lines.size();
  }

  @Override
  public LoadRequest request(long index) {
    Line line = lines.get((int) (index % lines.size()));
    return new LoadRequest(
        index, line.prompt(), line.maxTokens(), Seeds.derive(seed, "file", index) >>> 1);
  }
}
