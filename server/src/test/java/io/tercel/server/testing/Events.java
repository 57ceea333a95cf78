package io.tercel.server.testing;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import io.tercel.server.call.Json;
import java.util.ArrayList;
import java.util.List;

/** The events of a stream, read as strictly as the protocol has them. */
public record Events(List<JsonNode> chunks, boolean done, int comments) {

  public static Events parse(String body) throws JsonProcessingException {
    List<JsonNode> chunks = new ArrayList<>();
    boolean done = false;
    int comments = 0;
    assertTrue(body.endsWith("\n\n"), "the last event is whole");
    for (String event : body.split("\n\n")) {
      assertTrue(!done, "nothing follows [DONE]");
      if (event.equals(": keep-alive")) {
        comments++;
      } else if (event.equals("data: [DONE]")) {
        done = true;
      } else {
        assertTrue(event.startsWith("data: {") && !event.contains("\n"), event);
        chunks.add(Json.MAPPER.readTree(event.substring("data: ".length())));
      }
    }
    return new Events(chunks, done, comments);
  }

  /** The deltas of one field of a choice, put together. */
  public String text(int choice, String field) {
    StringBuilder text = new StringBuilder();
    for (JsonNode chunk : chunks) {
      for (JsonNode c : chunk.path("choices")) {
        if (c.path("index").intValue() == choice) {
          text.append(c.path("delta").path(field).asText(""));
        }
      }
    }
    return text.toString();
  }

  /** A choice's own chunks' choice objects. */
  public List<JsonNode> of(int choice) {
    List<JsonNode> all = new ArrayList<>();
    for (JsonNode chunk : chunks) {
      for (JsonNode c : chunk.path("choices")) {
        if (c.path("index").intValue() == choice) {
          all.add(c);
        }
      }
    }
    return all;
  }

  /** Role first, finish last and alone, one id throughout. */
  public void assertWellFormed(int n) {
    assertTrue(done, "ends in [DONE]");
    for (JsonNode chunk : chunks) {
      assertEquals(chunks.getFirst().path("id"), chunk.path("id"));
      assertEquals(chunks.getFirst().path("created"), chunk.path("created"));
    }
    for (int i = 0; i < n; i++) {
      List<JsonNode> own = of(i);
      assertEquals("assistant", own.getFirst().path("delta").path("role").asText());
      for (JsonNode c : own.subList(1, own.size())) {
        assertTrue(c.path("delta").path("role").isMissingNode());
      }
      for (JsonNode c : own.subList(0, own.size() - 1)) {
        assertTrue(c.has("finish_reason") && c.path("finish_reason").isNull());
      }
      assertTrue(own.getLast().path("delta").isEmpty());
      assertTrue(own.getLast().path("finish_reason").isTextual());
    }
  }
}
