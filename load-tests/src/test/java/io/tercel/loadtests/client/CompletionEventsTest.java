package io.tercel.loadtests.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.loadtests.metrics.Failure;
import io.tercel.loadtests.metrics.RequestTrace;
import io.tercel.loadtests.metrics.RequestTrace.Client;
import io.tercel.loadtests.metrics.RequestTrace.Ending;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CompletionEventsTest {
  private static final String CHAT =
      """
      : keep-alive

      data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null}

      data: {"choices":[{"delta":{"reasoning":"Hm … ","reasoning_content":"Hm … "}}]}

      data: {"choices":[{"delta":{"content":"4\\n"},"logprobs":{"content":[{"token":"4"}]}}]}

      data: {"choices":[{"delta":{},"finish_reason":"stop"}]}

      data: {"choices":[],"usage":{"prompt_tokens":20,"completion_tokens":3,"total_tokens":23,\
      "prompt_tokens_details":{"cached_tokens":16,"x":[1]},"completion_tokens_details":{"y":{},"reasoning_tokens":2}}}

      data: [DONE]

      """;

  private static RequestTrace read(String body, int piece) {
    RequestTrace trace = new RequestTrace(0, Client.PATIENT, 0, true);
    CompletionEvents events = new CompletionEvents(trace);
    byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
    for (int at = 0; at < bytes.length; at += piece) {
      events.feed(ByteBuffer.wrap(bytes, at, Math.min(piece, bytes.length - at)), at);
    }
    events.end(bytes.length);
    return trace;
  }

  /** However the network cuts it. */
  @ParameterizedTest
  @CsvSource({"1", "2", "3", "7", "64", "100000"})
  void chat_isReadWhereverItIsCut(int piece) {
    for (String body : new String[] {CHAT, CHAT.replace("\n", "\r\n")}) {
      RequestTrace trace = read(body, piece);
      assertEquals(Ending.COMPLETED, trace.ending());
      assertEquals(2, trace.tokenEvents());
      assertEquals("Hm … 4\n", trace.generatedText());
      assertEquals(20, trace.promptTokens());
      assertEquals(16, trace.cachedTokens());
      assertEquals(3, trace.outputTokens());
      assertEquals(2, trace.reasoningTokens());
      assertTrue(trace.hasAnswer());
      if (piece == 1) {
        assertTrue(trace.ttfat() > trace.ttft());
        assertEquals(endOfEvent(body, "Hm"), trace.ttft());
        assertEquals(endOfEvent(body, "4\\n"), trace.ttfat());
        assertEquals(endOfEvent(body, "stop"), trace.e2el());
      }
    }
  }

  /** The place, in bytes, of the line feed that ends the event with that text. */
  private static int endOfEvent(String body, String text) {
    String blank = body.contains("\r") ? "\r\n\r\n" : "\n\n";
    int end = body.indexOf(blank, body.indexOf("\"" + text)) + blank.length();
    return body.substring(0, end).getBytes(StandardCharsets.UTF_8).length - 1;
  }

  @Test
  void completion_countsTokensWithoutText() {
    RequestTrace trace =
        read(
            """
            data: {"choices":[{"text":"a","finish_reason":null}]}

            data: {"choices":[{"text":"","finish_reason":null,"token_ids":[5]}]}

            data: {"choices":[{"text":"b","finish_reason":"length"}]}

            data: [DONE]

            """,
            1000);
    assertEquals(3, trace.tokenEvents());
    assertEquals(3, trace.outputTokens());
    assertEquals("ab", trace.generatedText());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          data: {"error":{"message":"out of room","code":500}} | out of room
          data: {"error":"bad"}                                | bad
          data: {"choices":[{"text":"a"}]}                     | ended before its end
          data: nonsense                                       | not as it should be
          """)
  void brokenStream_isAFailure(String line, String why) {
    Failure failure =
        Objects.requireNonNull(
            read("data: {\"choices\":[{\"text\":\"a\"}]}\n\n" + line + "\n\n", 5).failure());
    assertEquals("stream", failure.cause());
    assertTrue(failure.message().contains(why), failure.message());
  }

  @Test
  void serverMetrics_areSummedOverLabels() {
    ServerSample sample =
        ServerSample.parse(
            """
            # HELP process_resident_memory_bytes x
            process_resident_memory_bytes 1.5E8
            vllm:num_requests_running{model_name="a b",} 3.0
            vllm:num_requests_running{model_name="c",} 2.0
            jvm_memory_bytes_used{area="heap",} 1000.0
            jvm_memory_bytes_used{area="nonheap",} 500.0
            vllm:num_requests_running_other 9
            """,
            5);
    assertEquals(
        java.util.Map.of(
            "process_resident_memory_bytes", 1.5e8,
            "vllm:num_requests_running", 5.0,
            "jvm_memory_bytes_used", 1000.0),
        sample.values());
  }
}
