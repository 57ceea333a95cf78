package io.tercel.trainer.ptq;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.tercel.kernels.format.JsonFault;
import io.tercel.server.UserException;
import io.tercel.server.text.ChatTemplate;
import io.tercel.server.text.Tokenizer;
import io.tercel.server.text.jinja.TemplateException;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Reads calibration files into documents of token ids. A file is plain text, one document, unless
 * its name ends in {@code .jsonl}: then each line is an object with one of
 *
 * <ul>
 *   <li>{@code token_ids}: ids as they are
 *   <li>{@code messages}: rendered by the model's chat template
 *   <li>{@code text}: as it is
 *   <li>{@code prompt} (or {@code problem}), with {@code completion}: one after the other
 * </ul>
 *
 * <p>To be continued by the model itself ({@link SelfTraces}), a line needs only a {@code prompt}
 * or {@code problem}, which becomes the user's message where the model has a chat template, or
 * {@code messages} that end with the user's.
 */
final class CalibrationReader {
  private static final ObjectMapper JSON = new ObjectMapper();

  private final Tokenizer tokenizer;
  private final int vocabSize;
  private final boolean prompts;
  private @Nullable ChatTemplate template;

  /**
   * @param prompts whether the documents are to be continued, so that answers are left out
   */
  CalibrationReader(Tokenizer tokenizer, int vocabSize, boolean prompts) {
    this.tokenizer = tokenizer;
    this.vocabSize = vocabSize;
    this.prompts = prompts;
  }

  /**
   * Reads all files.
   *
   * @throws UserException naming file, line and field, if one cannot be used
   */
  List<int[]> read(List<Path> files) {
    List<int[]> documents = new ArrayList<>();
    for (Path file : files) {
      if (!Files.isRegularFile(file)) {
        throw new UserException("--calibration: " + file + " is no file");
      }
      try {
        if (file.toString().endsWith(".jsonl")) {
          readLines(file, documents);
        } else if (prompts) {
          throw new UserException(
              "--calibration: " + file + " is no .jsonl; --self-traces needs one prompt a line");
        } else {
          documents.add(tokenizer.encode(Files.readString(file), true));
        }
      } catch (CharacterCodingException e) {
        throw new UserException("--calibration: " + file + " is not UTF-8", e);
      } catch (IOException e) {
        throw new UserException("--calibration: " + file + " cannot be read: " + e, e);
      }
    }
    return documents;
  }

  private void readLines(Path file, List<int[]> documents) throws IOException {
    try (BufferedReader reader = Files.newBufferedReader(file)) {
      int number = 0;
      for (String line = reader.readLine(); line != null; line = reader.readLine()) {
        number++;
        if (!line.isBlank()) {
          documents.add(document(line, file + " line " + number));
        }
      }
    }
  }

  /** The document of one line of a .jsonl file. */
  int[] document(String line, String where) {
    JsonNode node;
    try {
      node = JSON.readTree(line);
    } catch (JsonProcessingException e) {
      throw new UserException(where + ": not JSON: " + JsonFault.of(e), e);
    }
    if (node.hasNonNull("token_ids")) {
      return tokenIds(node.get("token_ids"), where);
    }
    if (node.hasNonNull("messages")) {
      return messages(node.get("messages"), where);
    }
    if (node.hasNonNull("text") && !prompts) {
      return tokenizer.encode(string(node, "text", where), true);
    }
    String field = node.hasNonNull("prompt") ? "prompt" : "problem";
    if (!node.hasNonNull(field)) {
      throw new UserException(
          where + ": none of token_ids, messages, text, prompt or problem is there");
    }
    String prompt = string(node, field, where);
    if (prompts) {
      return tokenizer.config().chatTemplate(false).isPresent()
          ? tokenizer.encode(
              render(List.of(Map.of("role", "user", "content", prompt)), where), false)
          : tokenizer.encode(prompt, true);
    }
    if (!node.hasNonNull("completion")) {
      throw new UserException(
          where
              + ": completion is missing beside "
              + field
              + "; give it, or let the model write it with --self-traces");
    }
    return tokenizer.encode(prompt + string(node, "completion", where), true);
  }

  private int[] tokenIds(JsonNode ids, String where) {
    int[] tokens = new int[ids.size()];
    for (int i = 0; i < tokens.length; i++) {
      JsonNode id = ids.get(i);
      if (!id.canConvertToInt() || id.intValue() < 0 || id.intValue() >= vocabSize) {
        throw new UserException(
            "%s: token_ids[%d] is %s; expected 0 to %d".formatted(where, i, id, vocabSize - 1));
      }
      tokens[i] = id.intValue();
    }
    if (!ids.isArray() || tokens.length == 0) {
      throw new UserException(where + ": token_ids is " + ids + "; expected a list of ids");
    }
    return tokens;
  }

  private int[] messages(JsonNode node, String where) {
    List<Map<String, Object>> messages = new ArrayList<>();
    for (JsonNode message : node) {
      if (!message.path("role").isTextual() || !message.path("content").isTextual()) {
        throw new UserException(
            where + ": messages: each needs a role and a content, both strings");
      }
      messages.add(
          Map.of(
              "role",
              message.get("role").textValue(),
              "content",
              message.get("content").textValue()));
    }
    if (messages.isEmpty()) {
      throw new UserException(where + ": messages is empty or no list");
    }
    return tokenizer.encode(render(messages, where), false);
  }

  private String render(List<Map<String, Object>> messages, String where) {
    try {
      ChatTemplate parsed = template;
      if (parsed == null) {
        parsed =
            ChatTemplate.of(tokenizer.config())
                .orElseThrow(
                    () ->
                        new UserException(
                            where + ": messages need a chat template, which the model lacks"));
        template = parsed;
      }
      return parsed.render(messages, List.of(), prompts, Map.of());
    } catch (TemplateException e) {
      throw new UserException(where + ": the chat template fails: " + e.getMessage(), e);
    }
  }

  private static String string(JsonNode node, String field, String where) {
    if (!node.get(field).isTextual()) {
      throw new UserException(where + ": " + field + " is no string");
    }
    return node.get(field).textValue();
  }
}
