package io.tercel.server.call;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.exc.StreamConstraintsException;
import com.fasterxml.jackson.core.json.JsonWriteFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.kernels.format.JsonFault;
import java.io.CharConversionException;
import java.io.IOException;
import java.io.UncheckedIOException;

/** JSON as clients send and get it; bounded when read. */
public final class Json {
  static final int MAX_DEPTH = 64;

  /** A tree takes far more memory than its text, so tokens are bounded besides bytes. */
  private static final long MAX_TOKENS = 1_000_000;

  /** Reads within bounds. */
  public static final ObjectMapper MAPPER =
      JsonMapper.builder(
              JsonFactory.builder()
                  .streamReadConstraints(
                      StreamReadConstraints.builder()
                          .maxNestingDepth(MAX_DEPTH)
                          .maxTokenCount(MAX_TOKENS)
                          .maxStringLength(Integer.MAX_VALUE) // the body's limit is enough
                          .maxNameLength(4096)
                          .maxNumberLength(400)
                          .build())
                  .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
                  .build())
          .enable(JsonWriteFeature.COMBINE_UNICODE_SURROGATES_IN_UTF8)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();

  private Json() {}

  /**
   * Reads a request's body.
   *
   * @throws ApiException if it isn't one JSON object; the message says where
   */
  public static ObjectNode parseObject(byte[] body) {
    return parseObject(body, "The request body");
  }

  /**
   * Reads what should be an object.
   *
   * @param name of it, for the refusal
   * @throws ApiException if it isn't one JSON object; the message says where
   */
  public static ObjectNode parseObject(byte[] json, String name) {
    JsonNode node;
    try {
      node = MAPPER.readTree(json);
      requireWellFormed(node);
    } catch (StreamConstraintsException e) {
      throw ApiException.malformed(name + " goes too far: " + JsonFault.of(e));
    } catch (JsonProcessingException e) {
      throw ApiException.malformed(name + " is not valid JSON: " + JsonFault.of(e));
    } catch (CharConversionException e) {
      throw ApiException.malformed(name + " is not valid UTF-8.");
    } catch (IOException e) {
      throw new UncheckedIOException(e); // a byte array has no other way to fail
    }
    if (node instanceof ObjectNode object) {
      return object;
    }
    throw ApiException.malformed(name + " must be a JSON object.");
  }

  /**
   * Refuses halves of surrogate pairs, which JSON can spell but UTF-8 can't: no tokenizer takes
   * them, and no answer could repeat them.
   */
  public static void requireWellFormed(JsonNode node) {
    if (node.isTextual()) {
      requireWellFormed(node.textValue());
    }
    for (var field : node.properties()) {
      requireWellFormed(field.getKey());
    }
    for (JsonNode child : node) {
      requireWellFormed(child);
    }
  }

  private static void requireWellFormed(String text) {
    for (int i = 0; i < text.length(); i++) {
      if (Character.isSurrogate(text.charAt(i))) {
        if (i + 1 == text.length()
            || !Character.isSurrogatePair(text.charAt(i), text.charAt(i + 1))) {
          throw ApiException.malformed("The request has half a surrogate pair in a string.");
        }
        i++;
      }
    }
  }

  /** Reads what {@link #bytes} made of a list, within the same bounds. */
  public static JsonNode parseArray(byte[] json) {
    try {
      return MAPPER.readTree(json);
    } catch (JsonProcessingException e) { // of more tokens than a request may have
      throw ApiException.malformed("What was said before goes too far: " + JsonFault.of(e));
    } catch (IOException e) {
      throw new UncheckedIOException(e); // a byte array has no other way to fail
    }
  }

  /** A value's JSON, UTF-8. */
  public static byte[] bytes(Object value) {
    try {
      return MAPPER.writeValueAsBytes(value);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("not JSON", e);
    }
  }
}
