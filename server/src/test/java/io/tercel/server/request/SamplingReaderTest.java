package io.tercel.server.request;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import io.tercel.kernels.format.GenerationDefaults;
import io.tercel.server.call.Json;
import io.tercel.server.engine.SamplingParams;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

class SamplingReaderTest {
  private static SamplingParams read(String json, GenerationDefaults defaults) {
    RequestFields fields =
        new RequestFields(Json.parseObject(json.getBytes(StandardCharsets.UTF_8)));
    fields.object().put("n", 2);
    CommonFields common =
        CommonFields.read(fields, new ApiConfig(List.of("m"), "test", _ -> "test"));
    return new SamplingReader(fields, defaults).read(common, 9, 3, -1);
  }

  @Test
  void allFields() {
    SamplingParams params =
        read(
            """
            {"temperature": 0.5, "top_p": 0.9, "top_k": 20, "min_p": 0.1, "presence_penalty": 1,
             "frequency_penalty": -1, "repetition_penalty": 1.1, "logit_bias": {"33": -100},
             "seed": -9223372036854775808, "min_tokens": 2.0, "stop_token_ids": [5],
             "ignore_eos": true}""",
            GenerationDefaults.NONE);
    assertEquals(
        SamplingParams.builder()
            .n(2)
            .maxTokens(9)
            .minTokens(2)
            .temperature(0.5f)
            .topP(0.9f)
            .topK(20)
            .minP(0.1f)
            .presencePenalty(1)
            .frequencyPenalty(-1)
            .repetitionPenalty(1.1f)
            .logitBias(Map.of(33, -100f))
            .seed(Long.MIN_VALUE)
            .stopTokenIds(Set.of(5))
            .ignoreEos(true)
            .numLogprobs(3)
            .build(),
        params);
  }

  @Test
  void absentAndNull_areTheModelsDefaultsAndARandomSeed() {
    GenerationDefaults defaults = new GenerationDefaults(0.6f, 0.95f, 20, 0.01f, 1.05f, List.of());
    SamplingParams params = read("{\"temperature\": null, \"seed\": null}", defaults);
    assertEquals(
        SamplingParams.builder()
            .n(2)
            .maxTokens(9)
            .temperature(0.6f)
            .topP(0.95f)
            .topK(20)
            .minP(0.01f)
            .repetitionPenalty(1.05f)
            .seed(params.draw().seed())
            .numLogprobs(3)
            .build(),
        params);
    assertNotEquals(params.draw().seed(), read("{}", defaults).draw().seed());
    assertEquals(0, read("{\"top_k\": -1}", defaults).draw().topK(), "vLLM's way to say all");
    assertEquals(0, read("{\"temperature\": 0}", defaults).draw().temperature());
  }
}
