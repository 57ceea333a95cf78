package io.tercel.server.grammar;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import org.jspecify.annotations.Nullable;

/** A JSON string of a length, a pattern or a format. */
final class StringRule {
  /** A longer maxLength counts as this one: each character has states of its own. */
  static final int MAX_LENGTH = 2048;

  private StringRule() {}

  /**
   * Writes it from a node on.
   *
   * @return where it ends, or -1 if there is no such string
   */
  static int write(JsonRules json, Nfa nfa, int from, ObjectNode schema, String path) {
    int min = SchemaValues.count(schema, "minLength", path, 0);
    int max = SchemaValues.count(schema, "maxLength", path, -1);
    if (min > MAX_LENGTH) {
      throw new GrammarException(path + ".minLength", "must be at most " + MAX_LENGTH);
    }
    Regex regex = regex(schema, path);
    if (regex == null) {
      if (min == 0 && max < 0) {
        return json.string(nfa, from);
      }
      if (max >= 0 && max < min) {
        return -1;
      }
      return json.writeString(nfa, from, min, Math.min(max, MAX_LENGTH));
    }
    int begin = nfa.literal(from, new byte[] {'"'});
    int end =
        min == 0 && max < 0
            ? regex.write(nfa, begin, Spelling.JSON)
            : new CharGraph(regex, nfa.complexity())
                .writeCounted(nfa, begin, min, Math.min(max, MAX_LENGTH), Spelling.JSON);
    return end < 0 ? -1 : nfa.literal(end, new byte[] {'"'});
  }

  /** The pattern or format, or null. */
  static @Nullable Regex regex(ObjectNode schema, String path) {
    JsonNode pattern = schema.get("pattern");
    JsonNode format = schema.get("format");
    if (pattern != null && format != null) {
      throw new GrammarException(path + ".format", "can't be combined with pattern");
    }
    if (pattern != null) {
      if (!pattern.isTextual()) {
        throw new GrammarException(path + ".pattern", "must be a string");
      }
      return RegexParser.within(pattern.textValue(), path + ".pattern");
    }
    if (format == null) {
      return null;
    }
    Regex regex = Formats.regex(format.asText(), path + ".format");
    if (regex == null) {
      throw new GrammarException(path + ".format", "must be one of " + Formats.names());
    }
    return regex;
  }
}
