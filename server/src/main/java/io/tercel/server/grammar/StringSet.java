package io.tercel.server.grammar;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The strings that schemas describe: their characters as an automaton, and their number, which is
 * counted beside it. So a length costs no states.
 *
 * @param texts null for any
 * @param max -1 for any number
 */
record StringSet(@Nullable CharDfa texts, int min, int max) {

  /** The strings of all schemas. */
  static StringSet of(Conjunction schemas, Complexity complexity) {
    ObjectNode limits = schemas.limits();
    int min = SchemaValues.count(limits, "minLength", schemas.path(), 0);
    int max = SchemaValues.count(limits, "maxLength", schemas.path(), -1);
    CharDfa texts = null;
    for (Located part : schemas.parts()) {
      for (Regex regex : regexes((ObjectNode) part.schema(), part.path())) {
        CharDfa its = CharDfa.of(regex, complexity);
        texts = texts == null ? its : texts.and(its);
      }
      int formatMax = Formats.maxLength(part.schema().path("format").asText());
      max = formatMax < 0 ? max : max < 0 ? formatMax : Math.min(max, formatMax);
      JsonNode forbidden = part.schema().path("not");
      if (Negation.isOfStrings(part.schema())) {
        CharDfa its = texts == null ? CharDfa.all(complexity) : texts;
        texts = its.minus(forbidden((ObjectNode) forbidden, part, complexity));
      }
    }
    return new StringSet(texts, min, max).simple(complexity);
  }

  /**
   * The names that schemas allow.
   *
   * @throws GrammarException if they say it by what strings have no automaton for
   */
  static StringSet ofNames(Conjunction schemas, Complexity complexity) {
    Set<String> types = schemas.namedTypes();
    if (schemas.isImpossible() || (types != null && !types.contains("string"))) {
      return new StringSet(CharDfa.of(List.of(), complexity), 0, -1);
    }
    for (String keyword : new String[] {"anyOf", "oneOf", "if"}) {
      if (schemas.has(keyword)) {
        throw new GrammarException(schemas.path() + "." + keyword, "is not supported for names");
      }
    }
    for (Located part : schemas.parts()) {
      if (part.schema().has("not") && !Negation.isOfStrings(part.schema())) {
        throw new GrammarException(part.path() + ".not", "is not supported for names");
      }
    }
    StringSet names = of(schemas, complexity);
    List<JsonNode> values = schemas.values();
    if (values == null) {
      return names;
    }
    List<String> listed = new ArrayList<>();
    for (JsonNode value : values) {
      boolean isIn = value.isTextual() && names.contains(value.textValue());
      for (Located part : schemas.parts()) {
        isIn &= !part.schema().has("enum") || contains(part.schema().get("enum"), value);
      }
      if (isIn) {
        listed.add(value.textValue());
      }
    }
    return new StringSet(CharDfa.of(listed, complexity), 0, -1);
  }

  private static boolean contains(JsonNode values, JsonNode value) {
    boolean contains = false;
    for (JsonNode one : values) {
      contains |= one.equals(value);
    }
    return contains;
  }

  /** The texts of a pattern or a list. */
  private static CharDfa forbidden(ObjectNode schema, Located part, Complexity complexity) {
    if (schema.has("pattern")) {
      return CharDfa.of(regexes(schema, part.path() + ".not").getFirst(), complexity);
    }
    List<String> listed = new ArrayList<>();
    schema.path("enum").forEach(v -> listed.add(v.asText()));
    return CharDfa.of(listed, complexity);
  }

  /** The pattern and the format, as far as they are there. */
  static List<Regex> regexes(ObjectNode schema, String path) {
    List<Regex> all = new ArrayList<>();
    JsonNode pattern = schema.get("pattern");
    if (pattern != null) {
      if (!pattern.isTextual()) {
        throw new GrammarException(path + ".pattern", "must be a string");
      }
      all.add(RegexParser.within(pattern.textValue(), path + ".pattern"));
    }
    JsonNode format = schema.get("format");
    if (format != null) {
      all.addAll(Formats.regexes(format.asText()));
    }
    return all;
  }

  /** The same without bounds that the texts keep by themselves, and with few states for others. */
  private StringSet simple(Complexity complexity) {
    if (texts == null) {
      return this;
    }
    int shortest = texts.shortest();
    int least = min <= shortest ? 0 : min;
    CharDfa all = texts;
    if (least > 0 && !all.growsByOne()) { // else a count below the least one could be a dead end
      all = all.and(CharDfa.atLeast(least, complexity));
      shortest = all.shortest();
      least = 0;
    }
    if (shortest < 0 || (max >= 0 && Math.max(shortest, least) > max)) {
      return new StringSet(CharDfa.of(List.of(), complexity), 0, -1);
    }
    return new StringSet(all, least, max >= 0 && all.hasLongerThan(max) ? max : -1);
  }

  boolean isEmpty() {
    return (texts != null && texts.isEmpty()) || (max >= 0 && min > max);
  }

  /** Those that are none of these. */
  StringSet without(Iterable<String> others, Complexity complexity) {
    List<String> listed = new ArrayList<>();
    others.forEach(listed::add);
    CharDfa its = texts == null ? CharDfa.all(complexity) : texts;
    return new StringSet(its.minus(CharDfa.of(listed, complexity)), min, max).simple(complexity);
  }

  /** The texts alone, any number of characters. */
  CharDfa texts(Complexity complexity) {
    return texts == null ? CharDfa.all(complexity) : texts;
  }

  boolean contains(String text) {
    int length = text.codePointCount(0, text.length());
    return length >= min && (max < 0 || length <= max) && (texts == null || texts.matches(text));
  }

  /**
   * Writes them as JSON from a node on.
   *
   * @return where they end
   */
  int write(JsonRules json, Nfa nfa, int from) {
    if (texts == null && min == 0 && max < 0) {
      return json.string(nfa, from);
    }
    int begin = nfa.literal(from, new byte[] {'"'});
    int end;
    if (min == 0 && max < 0) {
      end = texts(nfa.complexity()).write(nfa, begin, Spelling.JSON);
    } else {
      end = nfa.node();
      Grammar.Length length = new Grammar.Length(min, max < 0 ? CharDistance.NEVER / 2 : max);
      nfa.call(begin, json.counted(texts, length), end);
    }
    return nfa.literal(end, new byte[] {'"'});
  }
}
