package io.tercel.server.batch;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import io.tercel.server.request.CompletionId;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Lines of OpenAI's batch output files, and what is wanted of them, without a tree of either. */
final class BatchAnswer {
  /** Of what a server or this class has written: a long answer's log-probs have any length. */
  private static final JsonFactory FACTORY =
      JsonFactory.builder()
          .streamReadConstraints(
              StreamReadConstraints.builder()
                  .maxStringLength(Integer.MAX_VALUE)
                  .maxDocumentLength(-1)
                  .build())
          .build();

  private BatchAnswer() {}

  /**
   * What a server has answered.
   *
   * @param body JSON, or whatever came in its place
   * @param requestId as the server calls the request; null where it doesn't say
   */
  static byte[] of(BatchLine line, int status, byte[] body, @Nullable String requestId) {
    boolean whole = texts(body) != null;
    return write(
        line,
        json -> {
          json.writeObjectFieldStart("response");
          json.writeNumberField("status_code", status);
          json.writeStringField("request_id", requestId);
          json.writeFieldName("body");
          String text = new String(body, StandardCharsets.UTF_8);
          if (whole) {
            json.writeRawValue(text.replace("\n", " ")); // outside of strings, where JSON has them
          } else {
            json.writeString(text);
          }
          json.writeEndObject();
          json.writeNullField("error");
        });
  }

  /** A line that is no request. */
  static byte[] fault(BatchLine line, String why) {
    return write(
        line,
        json -> {
          json.writeNullField("response");
          json.writeObjectFieldStart("error");
          json.writeStringField("code", "invalid_line");
          json.writeStringField("message", "line " + line.number() + ": " + why);
          json.writeEndObject();
        });
  }

  /** Writes fields. */
  private interface Fields {
    void to(JsonGenerator json) throws IOException;
  }

  private static byte[] write(BatchLine line, Fields fields) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (JsonGenerator json = FACTORY.createGenerator(bytes)) {
      json.writeStartObject();
      json.writeStringField("id", CompletionId.unique("batch_req_"));
      json.writeStringField("custom_id", line.customId());
      fields.to(json);
      json.writeEndObject();
    } catch (IOException e) {
      throw new UncheckedIOException(e); // memory has no other way to fail
    }
    return bytes.toByteArray();
  }

  /**
   * The texts and numbers of an object and of the objects in it, by their names with dots between,
   * {@code usage.completion_tokens}; null if it isn't one whole JSON object.
   */
  static @Nullable Map<String, String> texts(byte[] json) {
    Map<String, String> texts = new HashMap<>();
    try (JsonParser parser = FACTORY.createParser(json)) {
      if (parser.nextToken() != JsonToken.START_OBJECT) {
        return null;
      }
      fields(parser, "", texts);
      return parser.nextToken() == null ? texts : null;
    } catch (IOException e) {
      return null;
    }
  }

  private static void fields(JsonParser parser, String prefix, Map<String, String> texts)
      throws IOException {
    while (parser.nextToken() == JsonToken.FIELD_NAME) {
      String name = prefix + parser.currentName();
      JsonToken value = parser.nextToken();
      if (value == JsonToken.START_OBJECT && prefix.isEmpty()) {
        fields(parser, name + ".", texts);
      } else if (value == JsonToken.VALUE_STRING || value == JsonToken.VALUE_NUMBER_INT) {
        texts.put(name, parser.getText());
      } else {
        parser.skipChildren();
      }
    }
  }
}
