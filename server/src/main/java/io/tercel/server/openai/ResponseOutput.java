package io.tercel.server.openai;

import io.tercel.kernels.ops.TokenResult;
import io.tercel.server.answer.AnswerParts;
import io.tercel.server.answer.ChoiceDelta;
import io.tercel.server.openai.wire.ChatLogprobs;
import io.tercel.server.openai.wire.ResponseItem;
import io.tercel.server.request.ChatRequest;
import io.tercel.server.request.CompletionId;
import io.tercel.server.text.OutputPart;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Makes the items of a response from what the choice gains: a thought, a message, function calls,
 * in the order in which the model wrote them. Each change is told as an event of OpenAI's stream,
 * to whoever listens.
 */
final class ResponseOutput {
  /** Hears of each change. */
  interface Listener {
    /** An event of the stream; type and sequence number are the listener's to add. */
    void event(String type, Map<String, Object> fields);
  }

  /** What the open item is. */
  private enum Kind {
    REASONING("reasoning_text"),
    MESSAGE("output_text"),
    CALL("function_call_arguments");

    /** What the events of its text are called. */
    final String events;

    Kind(String events) {
      this.events = events;
    }
  }

  private final Logprobs logprobs;
  private final int topLogprobs;
  private final AnswerParts parts;
  private final Listener listener;
  private final List<ResponseItem> items = new ArrayList<>();
  private @Nullable Kind open;
  private String id = "";
  private String callId = "";
  private String name = "";
  private final StringBuilder text = new StringBuilder();
  private List<TokenResult> scores = new ArrayList<>();

  /**
   * An output without items.
   *
   * @param request what the response answers
   */
  ResponseOutput(Logprobs logprobs, ChatRequest request, Listener listener) {
    this.logprobs = logprobs.naming(request.common().returned());
    this.topLogprobs = request.topLogprobs();
    this.parts = request.parts();
    this.listener = listener;
  }

  void add(ChoiceDelta delta) {
    boolean counted = false;
    for (OutputPart part : delta.parts()) {
      switch (part) {
        case OutputPart.Thought(String more) -> {
          require(Kind.REASONING);
          write(more, List.of());
        }
        case OutputPart.Text(String more) -> {
          require(Kind.MESSAGE);
          write(more, counted ? List.of() : scored(delta));
          counted = true;
        }
        case OutputPart.Call call -> {
          close(ResponseItem.COMPLETED);
          name = call.name();
          open(Kind.CALL);
          write(call.arguments(), List.of());
          close(ResponseItem.COMPLETED);
        }
      }
    }
    if (items.isEmpty() && open == null && delta.end() != null) {
      require(Kind.MESSAGE); // nothing was said, but a message says even that
      write("", scored(delta));
    }
    if (delta.end() != null) {
      close(delta.end().complete() ? ResponseItem.COMPLETED : ResponseItem.INCOMPLETE);
    }
  }

  /** The items that are complete, or have broken off. */
  List<ResponseItem> items() {
    return List.copyOf(items);
  }

  /** Whether tokens are asked for besides their text. */
  boolean keepsTokens() {
    return topLogprobs >= 0;
  }

  private List<ChatLogprobs.Entry> entries(List<TokenResult> tokens) {
    return topLogprobs < 0 ? List.of() : logprobs.chat(tokens, topLogprobs).content();
  }

  private List<TokenResult> scored(ChoiceDelta delta) {
    if (topLogprobs < 0) {
      return List.of();
    }
    // the marker before a message comes with its first text
    return delta.tokens().stream().filter(token -> !parts.isMarker(token.tokenId())).toList();
  }

  private void require(Kind kind) {
    if (open != kind) {
      close(ResponseItem.COMPLETED);
      open(kind);
    }
  }

  private void open(Kind kind) {
    open = kind;
    id =
        CompletionId.unique(
            switch (kind) {
              case REASONING -> "rs_";
              case MESSAGE -> "msg_";
              case CALL -> "fc_";
            });
    callId = CompletionId.unique("call_");
    text.setLength(0);
    scores = new ArrayList<>();
    tell("response.output_item.added", Map.of("item", item(kind, ResponseItem.IN_PROGRESS, false)));
    if (kind != Kind.CALL) {
      tellPart("response.content_part.added", part(kind));
    }
  }

  private void write(String more, List<TokenResult> moreScores) {
    Kind kind = opened();
    text.append(more);
    scores.addAll(moreScores);
    if (more.isEmpty()) {
      return;
    }
    Map<String, Object> fields = new LinkedHashMap<>();
    fields.put("item_id", id);
    fields.put("delta", more);
    if (kind != Kind.CALL) {
      fields.put("content_index", 0);
    }
    if (kind == Kind.MESSAGE) {
      fields.put("logprobs", entries(moreScores));
    }
    tell("response." + kind.events + ".delta", fields);
  }

  private void close(String status) {
    Kind kind = open;
    if (kind == null) {
      return;
    }
    Map<String, Object> fields = new LinkedHashMap<>();
    fields.put("item_id", id);
    if (kind == Kind.CALL) {
      fields.put("name", name);
      fields.put("arguments", text.toString());
    } else {
      fields.put("text", text.toString());
      fields.put("content_index", 0);
    }
    if (kind == Kind.MESSAGE) {
      fields.put("logprobs", entries(scores));
    }
    tell("response." + kind.events + ".done", fields);
    if (kind != Kind.CALL) {
      tellPart("response.content_part.done", part(kind));
    }
    ResponseItem item = item(kind, status, true);
    tell("response.output_item.done", Map.of("item", item));
    items.add(item);
    open = null;
  }

  private Kind opened() {
    Kind kind = open;
    if (kind == null) {
      throw new IllegalStateException("no item is open");
    }
    return kind;
  }

  private ResponseItem item(Kind kind, String status, boolean written) {
    return switch (kind) {
      case REASONING ->
          new ResponseItem.Reasoning(
              id,
              status,
              written ? List.of(new ResponseItem.ReasoningText(text.toString())) : List.of());
      case MESSAGE ->
          new ResponseItem.Message(id, status, written ? List.of(outputText()) : List.of());
      case CALL -> new ResponseItem.FunctionCall(id, status, callId, name, text.toString());
    };
  }

  private Object part(Kind kind) {
    return kind == Kind.MESSAGE ? outputText() : new ResponseItem.ReasoningText(text.toString());
  }

  private ResponseItem.OutputText outputText() {
    return new ResponseItem.OutputText(
        text.toString(), topLogprobs < 0 ? null : entries(List.copyOf(scores)));
  }

  private void tellPart(String type, Object part) {
    tell(type, Map.of("item_id", id, "content_index", 0, "part", part));
  }

  private void tell(String type, Map<String, Object> fields) {
    Map<String, Object> all = new LinkedHashMap<>(fields);
    all.put("output_index", items.size());
    listener.event(type, all);
  }
}
