package io.tercel.server.openai;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.server.call.Json;
import io.tercel.server.testing.TestServer;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class MetricsTest {
  private static final String LABEL = "{model_name=\"tercel/tiny\",";

  private static int promptTokens(TestServer server) throws Exception {
    String answer = server.chat("\"max_tokens\": 1").body();
    return Json.MAPPER.readTree(answer).path("usage").path("prompt_tokens").intValue();
  }

  @Test
  void namesAreThoseOfVllm() throws Exception {
    try (TestServer server = TestServer.start()) {
      String idle = server.get("/metrics").body();
      for (String reason : List.of("stop", "length", "abort", "error")) {
        assertTrue(
            idle.contains(
                "vllm:request_success_total" + LABEL + "finished_reason=\"" + reason + "\",} 0.0"),
            reason);
      }
      assertEquals(200, server.chat("\"n\": 2, \"max_tokens\": 5").statusCode());
      assertEquals(200, server.chat("").statusCode());
      String text = server.get("/metrics").body();
      for (String line :
          List.of(
              "vllm:num_requests_running" + LABEL + "} 0.0",
              "vllm:num_requests_waiting" + LABEL + "} 0.0",
              "vllm:kv_cache_usage_perc" + LABEL + "} 0.0",
              "vllm:cache_config_info" + LABEL + "block_size=\"16\",num_gpu_blocks=\"",
              "vllm:generation_tokens_total" + LABEL + "} 35.0",
              "vllm:num_preemptions_total" + LABEL + "} 0.0",
              "vllm:spec_decode_num_drafts_total" + LABEL + "} 0.0",
              "vllm:spec_decode_num_draft_tokens_total" + LABEL + "} 0.0",
              "vllm:spec_decode_num_accepted_tokens_total" + LABEL + "} 0.0",
              "vllm:spec_decode_num_accepted_tokens_per_pos_total" + LABEL + "position=\"0\",} 0.0",
              "vllm:request_success_total" + LABEL + "finished_reason=\"length\",} 2.0",
              "vllm:request_success_total" + LABEL + "finished_reason=\"stop\",} 1.0",
              "vllm:time_to_first_token_seconds_count" + LABEL + "} 3.0",
              "vllm:inter_token_latency_seconds_count" + LABEL + "} 32.0",
              "vllm:e2e_request_latency_seconds_count" + LABEL + "} 3.0",
              "vllm:request_decode_time_seconds_count" + LABEL + "} 3.0",
              "vllm:request_queue_time_seconds_count" + LABEL + "} 3.0",
              "vllm:request_prefill_time_seconds_count" + LABEL + "} 3.0",
              "vllm:prefix_cache_queries_total" + LABEL,
              "vllm:prefix_cache_hits_total" + LABEL,
              "vllm:request_prompt_tokens_count" + LABEL + "} 2.0",
              "vllm:request_generation_tokens_sum" + LABEL + "} 35.0",
              "vllm:request_inference_time_seconds_count" + LABEL + "} 3.0",
              "vllm:request_time_per_output_token_seconds_count" + LABEL + "} 3.0",
              "vllm:request_params_n_sum" + LABEL + "} 3.0",
              "vllm:request_params_max_tokens_count" + LABEL + "} 2.0",
              "tercel_weight_version" + LABEL + "} 1.0",
              "tercel_off_heap_bytes" + LABEL + "region=\"weights\",} 1000.0",
              "tercel_class_requests_running" + LABEL + "service_class=\"chat\",} 0.0",
              "tercel_class_requests_waiting" + LABEL + "service_class=\"rollout\",} 0.0",
              "tercel_class_requests_stalled" + LABEL + "service_class=\"batch\",} 0.0",
              "tercel_class_generation_tokens_total" + LABEL + "service_class=\"chat\",} 35.0",
              "tercel_class_preemptions_total" + LABEL + "service_class=\"chat\",} 0.0",
              "tercel_kv_broken_total" + LABEL + "} 0.0",
              "process_resident_memory_bytes ",
              "jvm_memory_bytes_used{area=\"heap\",} ",
              "# TYPE vllm:prompt_tokens_total counter")) {
        assertTrue(text.contains(line), line + " in\n" + text);
      }
      int prompt = promptTokens(server);
      assertTrue(
          text.contains("vllm:prompt_tokens_total" + LABEL + "} " + 3.0 * prompt),
          "once a choice, whether computed or found");
      assertFalse(text.contains("_total_total"));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"/v1/models/tercel/tiny", "/v1/models/tercel%2Ftiny", "/v1/models/alias"})
  void model_byItsId(String path) throws Exception {
    try (TestServer server = TestServer.start()) {
      var response = server.get(path);
      assertEquals(200, response.statusCode());
      assertTrue(response.body().contains("\"max_model_len\":4096"), response.body());
    }
  }
}
