package io.tercel.trainer.train;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.trainer.files.AtomicFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A small whole-word tokenizer in Hugging Face's format. Digits are single; a frequent word is one
 * token with the blank before it and, before a digit, the blank behind it too; every other
 * printable ASCII character is itself, and the rest of Unicode is {@code <unk>}.
 */
public final class WordTokenizer {
  static final List<String> SPECIAL = List.of("<pad>", "<|im_end|>", "<|im_start|>", "<unk>");
  static final List<String> TAGS = List.of("<think>", "</think>");
  private static final List<String> SIGNS =
      List.of("\n\n", " \\boxed{", "\\boxed{", "{}", " + ", " - ", " * ", " = ", ". ", ", ");
  private static final Pattern WORD = Pattern.compile(" ?[A-Za-z]+(?: (?=[0-9]))?");

  private final List<String> words;
  private final Map<String, Integer> ids = new LinkedHashMap<>();

  private WordTokenizer(List<String> words) {
    this.words = words;
    SPECIAL.forEach(this::add);
    TAGS.forEach(this::add);
    SIGNS.forEach(this::add);
    add("\n");
    add("\t");
    for (char c = ' '; c <= '~'; c++) {
      add(Character.toString(c));
    }
    words.forEach(this::add);
  }

  private void add(String token) {
    ids.putIfAbsent(token, ids.size());
  }

  /** Takes the words that occur often enough; ties and order do not depend on the texts' order. */
  public static WordTokenizer of(Iterable<String> texts, int atLeast) {
    Map<String, Integer> counts = new TreeMap<>();
    for (String text : texts) {
      Matcher word = WORD.matcher(text);
      while (word.find()) {
        counts.merge(word.group(), 1, Integer::sum);
      }
    }
    List<String> words = new ArrayList<>();
    counts.forEach(
        (word, count) -> {
          if (count >= atLeast && word.length() > 1) {
            words.add(word);
          }
        });
    return new WordTokenizer(List.copyOf(words));
  }

  public int size() {
    return ids.size();
  }

  public int id(String token) {
    Integer id = ids.get(token);
    if (id == null) {
      throw new IllegalArgumentException("no token " + token);
    }
    return id;
  }

  /** Writes tokenizer.json, tokenizer_config.json and generation_config.json. */
  public void write(Path directory, PromptFormat format, int positions) throws IOException {
    Files.createDirectories(directory);
    ObjectMapper mapper = new ObjectMapper();
    ObjectNode config = mapper.createObjectNode();
    config.put("tokenizer_class", "PreTrainedTokenizerFast");
    config.put("eos_token", PromptFormat.END).put("pad_token", "<pad>").put("unk_token", "<unk>");
    config.put("model_max_length", positions).put("clean_up_tokenization_spaces", false);
    config.put("chat_template", format.template());
    ObjectNode generation = mapper.createObjectNode();
    generation.put("eos_token_id", id(PromptFormat.END)).put("pad_token_id", id("<pad>"));
    generation.put("do_sample", true).put("temperature", 0.6).put("top_p", 0.95);
    AtomicFile.write(directory.resolve("tokenizer.json"), json(mapper).toPrettyString());
    AtomicFile.write(directory.resolve("tokenizer_config.json"), config.toPrettyString());
    AtomicFile.write(directory.resolve("generation_config.json"), generation.toPrettyString());
  }

  private ObjectNode json(ObjectMapper mapper) {
    ObjectNode json = mapper.createObjectNode().put("version", "1.0");
    json.putNull("truncation").putNull("padding");
    List<String> added = new ArrayList<>(SPECIAL);
    added.addAll(TAGS);
    for (String token : added) {
      json.withArray("added_tokens")
          .addObject()
          .put("id", id(token))
          .put("content", token)
          .put("single_word", false)
          .put("lstrip", false)
          .put("rstrip", false)
          .put("normalized", false)
          .put("special", SPECIAL.contains(token));
    }
    json.putNull("normalizer");
    ObjectNode split = json.putObject("pre_tokenizer").put("type", "Split");
    split.putObject("pattern").put("Regex", pattern());
    split.put("behavior", "Isolated").put("invert", false);
    json.putNull("post_processor").putObject("decoder").put("type", "Fuse");
    ObjectNode model = json.putObject("model").put("type", "WordLevel");
    ids.forEach(model.putObject("vocab")::put);
    model.put("unk_token", "<unk>");
    return json;
  }

  /** Cuts a text into tokens: the first alternative that matches is taken. */
  String pattern() {
    List<String> beforeDigit = new ArrayList<>();
    List<String> plain = new ArrayList<>();
    for (String word : words) {
      if (word.endsWith(" ")) {
        beforeDigit.add(
            word.strip().equals(word.stripTrailing()) ? word.strip() : " " + word.strip());
      } else {
        plain.add(word);
      }
    }
    List<String> parts = new ArrayList<>();
    if (!beforeDigit.isEmpty()) {
      parts.add("(?:" + alternatives(beforeDigit) + ") (?=[0-9])");
    }
    if (!plain.isEmpty()) {
      parts.add("(?:" + alternatives(plain) + ")(?![A-Za-z])");
    }
    parts.add(alternatives(SIGNS));
    parts.add("[\\s\\S]");
    return String.join("|", parts);
  }

  private static String alternatives(List<String> tokens) {
    return String.join(
        "|",
        tokens.stream()
            .sorted(Comparator.comparing(String::length).reversed())
            .map(token -> token.replaceAll("[^A-Za-z0-9\\n]", "\\\\$0").replace("\n", "\\n"))
            .toList());
  }
}
