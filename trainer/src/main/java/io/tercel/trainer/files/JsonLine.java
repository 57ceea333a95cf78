package io.tercel.trainer.files;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.kernels.format.JsonFault;
import io.tercel.server.UserException;
import java.io.IOException;
import java.util.Optional;

/**
 * One line of a file: a JSON object, and where it stands.
 *
 * @param where file and line, as messages name it
 */
public record JsonLine(String where, ObjectNode fields) {
  private static final ObjectMapper JSON = new ObjectMapper();

  /**
   * Parses a line.
   *
   * @param broken whether the file ends within or right behind this line, without a line break
   */
  static JsonLine parse(String where, byte[] bytes, boolean broken) {
    JsonNode node;
    try {
      node = JSON.readTree(bytes);
    } catch (JsonProcessingException e) {
      throw new UserException(
          broken
              ? where + ": the file ends in the middle of this line: copy it again, or delete it"
              : where + ": not JSON: " + JsonFault.of(e) + "; each line is one object",
          e);
    } catch (IOException e) {
      throw new UserException(where + ": not UTF-8 text", e);
    }
    if (!(node instanceof ObjectNode object)) {
      throw new UserException(where + ": each line is one JSON object, such as {\"messages\": …}");
    }
    return new JsonLine(where, object);
  }

  /** A text that must be there. */
  public String text(String field) {
    JsonNode value = fields.path(field);
    if (!value.isTextual()) {
      throw refuse(field, value.isMissingNode() ? "is missing" : "is no text");
    }
    return value.textValue();
  }

  /** A text or number that may be absent, null or blank. */
  public Optional<String> optional(String field) {
    JsonNode value = fields.path(field);
    if (value.isMissingNode() || value.isNull()) {
      return Optional.empty();
    }
    if (!value.isTextual() && !value.isNumber()) {
      throw refuse(field, "is neither text nor a number");
    }
    return Optional.of(value.asText()).filter(text -> !text.isBlank());
  }

  /** A list that must be there. */
  public JsonNode list(String field) {
    JsonNode value = fields.path(field);
    if (!value.isArray()) {
      throw refuse(field, value.isMissingNode() ? "is missing" : "is no list");
    }
    return value;
  }

  /** A line that can't be used, for a field's sake. */
  public UserException refuse(String field, String fault) {
    return new UserException(where + ": " + field + " " + fault);
  }
}
