package io.tercel.loadtests.client;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import org.jspecify.annotations.Nullable;

/**
 * What a load test needs of one streamed chunk of {@code /v1/completions} or {@code
 * /v1/chat/completions}, read without building a tree. One object is filled again and again.
 */
final class CompletionChunk {
  private final JsonFactory json = new JsonFactory();
  private final boolean keepText;
  private final StringBuilder thoughtText = new StringBuilder();
  private final StringBuilder answerText = new StringBuilder();

  /** It has a choice. */
  boolean choice;

  /** It brings text of a thought. */
  boolean thought;

  /** It brings text (or a tool call) of an answer. */
  boolean answer;

  /** It says who speaks, which is no token yet. */
  boolean role;

  /** It is a choice's last one. */
  boolean finished;

  boolean usage;
  int promptTokens;
  int cachedTokens;
  int outputTokens;
  int reasoningTokens;

  /** What went wrong; null if nothing. */
  @Nullable String error;

  CompletionChunk(boolean keepText) {
    this.keepText = keepText;
  }

  /** Text of a thought, if it is kept. */
  String thoughtText() {
    return thoughtText.toString();
  }

  /** Text of an answer, if it is kept. */
  String answerText() {
    return answerText.toString();
  }

  /**
   * Reads a chunk.
   *
   * @throws IOException if it is not a JSON object
   */
  void read(byte[] buffer, int length) throws IOException {
    choice = thought = answer = role = finished = usage = false;
    error = null;
    thoughtText.setLength(0);
    answerText.setLength(0);
    try (JsonParser parser = json.createParser(buffer, 0, length)) {
      if (parser.nextToken() != JsonToken.START_OBJECT) {
        throw new IOException("an event is not a JSON object");
      }
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        String field = parser.currentName();
        JsonToken value = parser.nextToken();
        switch (field) {
          case "choices" -> choices(parser, value);
          case "usage" -> usage(parser, value);
          case "error" -> error(parser, value);
          default -> parser.skipChildren();
        }
      }
    }
  }

  private void choices(JsonParser parser, JsonToken value) throws IOException {
    if (value != JsonToken.START_ARRAY) {
      return;
    }
    while (parser.nextToken() == JsonToken.START_OBJECT) {
      choice = true;
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        String field = parser.currentName();
        JsonToken token = parser.nextToken();
        switch (field) {
          case "text" -> answer |= says(parser, token, answerText);
          case "delta" -> delta(parser, token);
          case "finish_reason" -> finished |= token == JsonToken.VALUE_STRING;
          default -> parser.skipChildren();
        }
      }
    }
  }

  private void delta(JsonParser parser, JsonToken value) throws IOException {
    if (value != JsonToken.START_OBJECT) {
      return;
    }
    boolean reasoned = false;
    while (parser.nextToken() == JsonToken.FIELD_NAME) {
      String field = parser.currentName();
      JsonToken token = parser.nextToken();
      switch (field) {
        case "content" -> answer |= says(parser, token, answerText);
        case "reasoning", "reasoning_content" -> {
          // The same thought comes under both names.
          boolean again = reasoned;
          int before = thoughtText.length();
          reasoned |= says(parser, token, thoughtText);
          if (again) {
            thoughtText.setLength(before);
          }
        }
        case "tool_calls" -> {
          answer |= token == JsonToken.START_ARRAY;
          parser.skipChildren();
        }
        case "role" -> role = true;
        default -> parser.skipChildren();
      }
    }
    thought |= reasoned;
  }

  private boolean says(JsonParser parser, JsonToken token, StringBuilder text) throws IOException {
    if (token != JsonToken.VALUE_STRING) {
      parser.skipChildren();
      return false;
    }
    if (keepText) {
      text.append(parser.getText());
    }
    return parser.getTextLength() > 0;
  }

  private void usage(JsonParser parser, JsonToken value) throws IOException {
    if (value != JsonToken.START_OBJECT) {
      return;
    }
    usage = true;
    promptTokens = cachedTokens = outputTokens = reasoningTokens = 0;
    while (parser.nextToken() == JsonToken.FIELD_NAME) {
      String field = parser.currentName();
      JsonToken token = parser.nextToken();
      switch (field) {
        case "prompt_tokens" -> promptTokens = parser.getIntValue();
        case "completion_tokens" -> outputTokens = parser.getIntValue();
        case "prompt_tokens_details" -> cachedTokens = detail(parser, token, "cached_tokens");
        case "completion_tokens_details" ->
            reasoningTokens = detail(parser, token, "reasoning_tokens");
        default -> parser.skipChildren();
      }
    }
  }

  private static int detail(JsonParser parser, JsonToken value, String name) throws IOException {
    int found = 0;
    if (value == JsonToken.START_OBJECT) {
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        boolean wanted = parser.currentName().equals(name);
        JsonToken token = parser.nextToken();
        if (wanted && token == JsonToken.VALUE_NUMBER_INT) {
          found = parser.getIntValue();
        }
        parser.skipChildren();
      }
    }
    return found;
  }

  private void error(JsonParser parser, JsonToken value) throws IOException {
    if (value == JsonToken.VALUE_NULL) {
      return;
    }
    error = value == JsonToken.VALUE_STRING ? parser.getText() : "an error";
    if (value != JsonToken.START_OBJECT) {
      parser.skipChildren();
      return;
    }
    while (parser.nextToken() == JsonToken.FIELD_NAME) {
      boolean message = parser.currentName().equals("message");
      JsonToken token = parser.nextToken();
      if (message && token == JsonToken.VALUE_STRING) {
        error = parser.getText();
      }
      parser.skipChildren();
    }
  }
}
