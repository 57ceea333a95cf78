package io.tercel.proto.v1;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.Descriptors.EnumDescriptor;
import com.google.protobuf.Descriptors.FieldDescriptor;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** What clients may rely on. */
class ContractTest {

  /** So that a 0 can be said and told from nothing. */
  @Test
  void generateRequest_everySingularFieldHasPresence() {
    List<FieldDescriptor> fields = GenerateRequest.getDescriptor().getFields();
    assertTrue(fields.size() > 20);
    for (FieldDescriptor field : fields) {
      assertTrue(field.isRepeated() || field.hasPresence(), field.getName());
    }
  }

  @Test
  void enums_beginUnspecified() {
    Stream<EnumDescriptor> enums =
        Stream.of(
                InferenceProto.getDescriptor(),
                ControlProto.getDescriptor(),
                TrainingProto.getDescriptor())
            .flatMap(file -> file.getEnumTypes().stream());
    List<String> zeros = enums.map(e -> e.findValueByNumber(0).getName()).sorted().toList();
    assertEquals(
        List.of(
            "FINISH_REASON_UNSPECIFIED",
            "PHASE_UNSPECIFIED",
            "TENSOR_PART_UNSPECIFIED",
            "TRAINING_STATE_UNSPECIFIED"),
        zeros);
  }

  @Test
  void services_areThoseOfTheServer() {
    assertEquals(
        List.of("Generate", "ChatCompletions"),
        InferenceProto.getDescriptor().findServiceByName("Inference").getMethods().stream()
            .map(m -> m.getName())
            .toList());
    assertEquals("tercel.v1.Control", ControlGrpc.SERVICE_NAME);
    assertEquals(
        List.of("Start", "GetRun", "Watch", "Cancel"),
        TrainingProto.getDescriptor().findServiceByName("Training").getMethods().stream()
            .map(m -> m.getName())
            .toList());
  }
}
