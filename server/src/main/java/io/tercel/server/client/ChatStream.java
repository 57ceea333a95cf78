package io.tercel.server.client;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.net.http.HttpResponse;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import org.jspecify.annotations.Nullable;

/**
 * One completion under way. One thread reads it; any thread may cancel it, which closes the
 * connection, so that the server stops at once.
 */
public final class ChatStream {
  private static final ObjectMapper MAPPER = new ObjectMapper();
  private static final int MAX_ERROR_BYTES = 64 << 10;

  private final CompletableFuture<HttpResponse<InputStream>> response;
  private final String where;
  private final StringBuilder thinking = new StringBuilder();
  private final StringBuilder text = new StringBuilder();
  private String finishReason = "";
  private @Nullable JsonNode usage;
  private volatile boolean cancelled;
  private volatile @Nullable InputStream body;

  ChatStream(CompletableFuture<HttpResponse<InputStream>> response, String where) {
    this.response = response;
    this.where = where;
  }

  /** Ends the completion; what came so far is its answer. */
  public void cancel() {
    cancelled = true;
    response.cancel(true);
    InputStream open = body;
    if (open != null) {
      try {
        open.close();
      } catch (IOException e) {
        // It is closed either way.
      }
    }
  }

  /**
   * Reads to the end.
   *
   * @throws ChatException if the server refuses, or the stream breaks off
   */
  public ChatAnswer read(ChatSink sink) throws ChatException, InterruptedException {
    try {
      HttpResponse<InputStream> head = response.get();
      try (InputStream in = head.body()) {
        body = in;
        if (cancelled) {
          return answer(ChatAnswer.CANCELLED);
        }
        if (head.statusCode() != 200) {
          throw refusal(head, in);
        }
        return events(new SseReader(in), sink);
      }
    } catch (CancellationException e) {
      return answer(ChatAnswer.CANCELLED);
    } catch (ExecutionException e) {
      if (cancelled) {
        return answer(ChatAnswer.CANCELLED);
      }
      throw ChatClient.broken(where, e.getCause());
    } catch (ChatException e) {
      throw e;
    } catch (IOException e) {
      if (cancelled) {
        return answer(ChatAnswer.CANCELLED);
      }
      throw ChatClient.broken(where, e);
    } catch (InterruptedException e) {
      cancel();
      throw e;
    }
  }

  private ChatAnswer events(SseReader events, ChatSink sink) throws IOException {
    for (String data = events.next(); data != null; data = events.next()) {
      if (data.equals("[DONE]")) {
        return answer(finishReason.isEmpty() ? "stop" : finishReason);
      }
      JsonNode chunk;
      try {
        chunk = MAPPER.readTree(data);
      } catch (JsonProcessingException e) {
        throw new ChatException(where + " sent an event that is not JSON", e);
      }
      if (chunk.hasNonNull("error")) {
        throw new ChatException(message(chunk, "an error"), 500, 0);
      }
      take(chunk, sink);
    }
    if (cancelled) {
      return answer(ChatAnswer.CANCELLED);
    }
    throw new ChatException(where + " ended the stream before its end", ChatException.NO_STATUS, 0);
  }

  private void take(JsonNode chunk, ChatSink sink) {
    if (chunk.hasNonNull("usage")) {
      usage = chunk.get("usage");
    }
    JsonNode choice = chunk.path("choices").path(0);
    JsonNode delta = choice.path("delta");
    // Tercel and vLLM send a thought under both names, others under one.
    String thought = delta.path("reasoning_content").asText("");
    if (thought.isEmpty()) {
      thought = delta.path("reasoning").asText("");
    }
    if (!thought.isEmpty()) {
      thinking.append(thought);
      sink.thinking(thought);
    }
    String said = delta.path("content").asText("");
    if (!said.isEmpty()) {
      text.append(said);
      sink.answer(said);
    }
    if (choice.hasNonNull("finish_reason")) {
      finishReason = choice.get("finish_reason").asText();
    }
  }

  private ChatAnswer answer(String reason) {
    JsonNode used = usage == null ? MAPPER.missingNode() : usage;
    return new ChatAnswer(
        thinking.toString(),
        text.toString(),
        reason,
        used.path("prompt_tokens").asInt(-1),
        used.path("completion_tokens").asInt(-1),
        used.path("completion_tokens_details").path("reasoning_tokens").asInt(-1));
  }

  private ChatException refusal(HttpResponse<?> head, InputStream in) throws IOException {
    byte[] bytes = in.readNBytes(MAX_ERROR_BYTES);
    String message = where + " answered " + head.statusCode();
    try {
      message = message(MAPPER.readTree(bytes), message);
    } catch (IOException e) {
      // Not JSON: the status says it.
    }
    String wait = head.headers().firstValue("retry-after").orElse("");
    return new ChatException(
        message, head.statusCode(), wait.matches("\\d{1,5}") ? Long.parseLong(wait) : 0);
  }

  private static String message(JsonNode error, String absent) {
    JsonNode message = error.path("error").path("message");
    return message.isTextual() ? message.asText().replaceAll("\\s+", " ") : absent;
  }
}
