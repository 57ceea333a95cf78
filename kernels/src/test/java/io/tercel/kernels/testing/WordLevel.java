package io.tercel.kernels.testing;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The tokenizer of the tiny trained models: a regular expression cuts words, each of which is an
 * id.
 */
public final class WordLevel {
  private final Pattern word;
  private final Map<String, Integer> ids = new HashMap<>();

  private WordLevel(JsonNode tokenizer) {
    String regex = tokenizer.at("/pre_tokenizer/pattern/Regex").asText();
    StringBuilder added = new StringBuilder();
    tokenizer
        .get("added_tokens")
        .forEach(t -> added.append(Pattern.quote(t.get("content").asText())).append('|'));
    word = Pattern.compile(added + regex);
    tokenizer
        .at("/model/vocab")
        .properties()
        .forEach(e -> ids.put(e.getKey(), e.getValue().asInt()));
  }

  /** That of a model directory. */
  public static WordLevel open(Path directory) {
    try {
      return new WordLevel(
          new ObjectMapper().readTree(directory.resolve("tokenizer.json").toFile()));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  public List<Integer> encode(String text) {
    List<Integer> found = new ArrayList<>();
    Matcher matcher = word.matcher(text);
    while (matcher.find()) {
      Integer id = ids.get(matcher.group());
      found.add(id == null ? ids.getOrDefault("?", 0) : id);
    }
    return found;
  }

  public String decode(List<Integer> tokens) {
    Map<Integer, String> words = new HashMap<>();
    ids.forEach((text, id) -> words.put(id, text));
    StringBuilder text = new StringBuilder();
    tokens.forEach(id -> text.append(words.getOrDefault(id, "?")));
    return text.toString();
  }
}
