package io.tercel.server.text;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.tercel.kernels.format.JsonFault;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What a model's {@code tokenizer_config.json} says besides the tokens: its special tokens and chat
 * templates.
 *
 * @param specialTokens {@code bos_token}, {@code eos_token} and the like as texts, {@code
 *     additional_special_tokens} as a list; those the model lacks are absent
 * @param chatTemplates the templates by name; the usual one is {@code default}. Files beside it
 *     ({@code chat_template.jinja}, {@code additional_chat_templates}) replace all of them, as in
 *     Transformers
 */
public record TokenizerConfig(
    Map<String, Object> specialTokens, Map<String, String> chatTemplates) {
  private static final List<String> NAMES =
      List.of(
          "bos_token",
          "eos_token",
          "unk_token",
          "sep_token",
          "pad_token",
          "cls_token",
          "mask_token");

  /** Copies both maps. */
  public TokenizerConfig {
    specialTokens = Map.copyOf(specialTokens);
    chatTemplates = Map.copyOf(chatTemplates);
  }

  /**
   * Reads a model's folder; what is absent there is absent here.
   *
   * @throws IOException naming the file, if one is there but malformed
   */
  public static TokenizerConfig read(Path modelDir) throws IOException {
    Map<String, Object> tokens = new LinkedHashMap<>();
    Map<String, String> templates = new LinkedHashMap<>();
    // The older file first, so that the newer one's entries win.
    addTokens(json(modelDir.resolve("special_tokens_map.json")), tokens);
    JsonNode config = json(modelDir.resolve("tokenizer_config.json"));
    addTokens(config, tokens);
    JsonNode template = config.path("chat_template");
    if (template.isTextual()) {
      templates.put("default", template.textValue());
    }
    for (JsonNode named : template.isArray() ? template : List.<JsonNode>of()) {
      templates.put(named.path("name").asText(), named.path("template").asText());
    }
    Map<String, String> files = templateFiles(modelDir);
    return new TokenizerConfig(tokens, files.isEmpty() ? templates : files);
  }

  /** Templates in files of their own; where there are any, only they count. */
  private static Map<String, String> templateFiles(Path modelDir) throws IOException {
    Map<String, String> templates = new LinkedHashMap<>();
    Path additional = modelDir.resolve("additional_chat_templates");
    if (Files.isDirectory(additional)) {
      try (var files = Files.newDirectoryStream(additional, "*.jinja")) {
        for (Path file : files) {
          String name = String.valueOf(file.getFileName());
          templates.put(
              name.substring(0, name.length() - ".jinja".length()), Files.readString(file));
        }
      }
    }
    Path file = modelDir.resolve("chat_template.jinja");
    if (Files.isRegularFile(file)) {
      templates.put("default", Files.readString(file));
    }
    return templates;
  }

  /** The template for a request: {@code tool_use} where tools are given and there is one. */
  public Optional<String> chatTemplate(boolean withTools) {
    String tools = withTools ? chatTemplates.get("tool_use") : null;
    return Optional.ofNullable(tools != null ? tools : chatTemplates.get("default"));
  }

  /** A special token's text. */
  public Optional<String> token(String name) {
    return specialTokens.get(name) instanceof String text ? Optional.of(text) : Optional.empty();
  }

  private static JsonNode json(Path file) throws IOException {
    ObjectMapper mapper = new ObjectMapper();
    if (!Files.isRegularFile(file)) {
      return mapper.createObjectNode();
    }
    try {
      return mapper.readTree(Files.readAllBytes(file));
    } catch (JsonProcessingException e) {
      throw new IOException(file + " is not JSON: " + JsonFault.of(e), e);
    }
  }

  private static void addTokens(JsonNode config, Map<String, Object> tokens) {
    for (String name : NAMES) {
      JsonNode token = config.path(name);
      JsonNode content = token.isObject() ? token.path("content") : token;
      if (content.isTextual()) {
        tokens.put(name, content.textValue());
      }
    }
    JsonNode additional = config.path("additional_special_tokens");
    if (additional.isArray() && !additional.isEmpty()) {
      List<String> texts = new ArrayList<>();
      additional.forEach(t -> texts.add(t.isObject() ? t.path("content").asText() : t.asText()));
      tokens.put("additional_special_tokens", List.copyOf(texts));
    }
  }
}
