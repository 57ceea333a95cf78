package io.tercel.server.grpc;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.google.protobuf.Descriptors.FieldDescriptor;
import io.tercel.proto.v1.GenerateRequest;
import io.tercel.server.openai.InferenceApi;
import java.util.List;
import java.util.Map;

/**
 * The fields of a GenerateRequest under their names in JSON, so that one place reads, checks and
 * explains them for every wire. The names are the same but for the prompt's.
 */
final class GenerateRequestFields {
  /** What only gRPC has, or has in another form. */
  private static final List<Integer> OWN =
      List.of(
          GenerateRequest.REQUEST_ID_FIELD_NUMBER,
          GenerateRequest.RETURN_TEXT_FIELD_NUMBER,
          GenerateRequest.TEXT_FIELD_NUMBER,
          GenerateRequest.TOKEN_IDS_FIELD_NUMBER,
          GenerateRequest.LOGIT_BIAS_FIELD_NUMBER,
          GenerateRequest.STRUCTURED_OUTPUTS_FIELD_NUMBER);

  private GenerateRequestFields() {}

  static ObjectNode of(GenerateRequest request) {
    ObjectNode fields = InferenceApi.newFields();
    for (Map.Entry<FieldDescriptor, Object> field : request.getAllFields().entrySet()) {
      if (!OWN.contains(field.getKey().getNumber())) {
        put(fields, field.getKey().getName(), field.getValue());
      }
    }
    switch (request.getPromptCase()) {
      case TEXT -> fields.put("prompt", request.getText());
      case TOKEN_IDS -> {
        ArrayNode ids = fields.putArray("prompt");
        request.getTokenIds().getIdsList().forEach(ids::add);
      }
      case PROMPT_NOT_SET -> {} // refused where it's read
    }
    if (request.hasStructuredOutputs()) {
      String name = "structured_outputs";
      fields.set(name, InferenceApi.parseField(name, request.getStructuredOutputs()));
    }
    if (request.getLogitBiasCount() > 0) {
      ObjectNode biases = fields.putObject("logit_bias");
      request.getLogitBiasMap().forEach((id, bias) -> biases.put(id.toString(), bias));
    }
    return fields;
  }

  private static void put(ObjectNode fields, String name, Object value) {
    switch (value) {
      case String text -> fields.put(name, text);
      case Boolean flag -> fields.put(name, flag);
      case Integer number -> fields.put(name, number);
      case Long number -> fields.put(name, number);
      case Float number -> fields.put(name, number);
      case List<?> list -> {
        ArrayNode array = fields.putArray(name);
        for (Object item : list) {
          if (item instanceof Integer number) {
            array.add(number);
          } else {
            array.add(String.valueOf(item));
          }
        }
      }
      default -> throw new IllegalStateException("no JSON for " + name);
    }
  }
}
