package io.tercel.server.openai;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.server.answer.ChoiceDelta;
import io.tercel.server.answer.GenerationReader;
import io.tercel.server.answer.Sequencing;
import io.tercel.server.answer.WeightRun;
import io.tercel.server.call.ApiException;
import io.tercel.server.call.Json;
import io.tercel.server.call.JsonIntake;
import io.tercel.server.http.Exchange;
import io.tercel.server.http.Handler;
import io.tercel.server.http.SseWriter;
import io.tercel.server.model.ServedModel;
import io.tercel.server.openai.wire.DeletedResponse;
import io.tercel.server.openai.wire.ErrorBody;
import io.tercel.server.openai.wire.ResponseItem;
import io.tercel.server.openai.wire.ResponseObject;
import io.tercel.server.openai.wire.WeightVersion;
import io.tercel.server.request.ApiConfig;
import io.tercel.server.request.ApiContext;
import io.tercel.server.request.ChatRequest;
import io.tercel.server.request.CompletionId;
import io.tercel.server.request.GatheredTokens;
import io.tercel.server.request.RequestFields;
import io.tercel.server.request.Returned;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * {@code POST /v1/responses}, and what is stored of it: a response can be read again, removed, and
 * gone on from. Without a store each request brings its whole input.
 */
final class ResponsesHandler implements Handler {
  static final String BELOW = "/v1/responses/";

  /** Of a response that whoever runs the server has ended. */
  private static final String CANCELLED = "cancelled";

  private final ApiConfig config;
  private final ServedModel model;
  private final JsonIntake intake;
  private final Sequencing sequencing;
  private final Logprobs logprobs;
  private final GatheredTokens gathered;
  private final ResponseStore store;

  ResponsesHandler(ApiContext context, ResponseStore store) {
    this.store = store;
    this.config = context.config();
    this.model = context.model();
    this.intake = context.intake();
    this.gathered = context.gathered();
    this.sequencing = context.sequencing();
    this.logprobs = new Logprobs(model.tokenizer());
  }

  @Override
  public void handle(Exchange exchange) throws InterruptedException {
    long arrived = System.nanoTime();
    Asked asked = exchange.read(intake, this::read);
    try (ResponseStore.Draft draft = store.draft(asked.read().conversation())) {
      answer(exchange, asked, draft, arrived);
    }
  }

  private void answer(Exchange exchange, Asked asked, ResponseStore.Draft draft, long arrived)
      throws InterruptedException {
    ChatRequest request = asked.read().request();
    CompletionId id = CompletionId.next("resp_", request.common().model(), config, model);
    GenerationReader reader =
        sequencing
            .submit(
                exchange,
                request.common().generation(exchange, id.id(), request.prompt(), request.params()),
                request.common().text(),
                request.parts(),
                arrived)
            .tellingVersions(id::madeBy);
    Answer answer = new Answer(asked.settings(), request, id, draft);
    if (request.common().stream()) {
      stream(answer, reader, exchange.stream());
    } else {
      ResponseOutput output = new ResponseOutput(logprobs, request, (type, event) -> {});
      try (GatheredTokens.Share share = gathered.share()) {
        Ended end = readAll(request, reader, output, share);
        exchange.json(200, answer.ended(end, output, reader));
      }
    }
  }

  /** {@code GET /v1/responses/{id}}. */
  void one(Exchange exchange) {
    String id = exchange.pathBelow(BELOW);
    byte[] response = store.response(id);
    if (response == null) {
      throw ApiException.responseNotFound(id);
    }
    if ("true".equals(exchange.query("stream"))) {
      throw ApiException.unsupported("stream", "stream must be false: a stored response is whole");
    }
    exchange.text(200, "application/json", new String(response, StandardCharsets.UTF_8));
  }

  /** {@code DELETE /v1/responses/{id}}. */
  void delete(Exchange exchange) {
    String id = exchange.pathBelow(BELOW);
    if (!store.remove(id)) {
      throw ApiException.responseNotFound(id);
    }
    exchange.json(200, new DeletedResponse(id, "response", true));
  }

  /** A request, and its settings as the answer repeats them. */
  private record Asked(ResponsesFields.Read read, ResponseSettings settings) {}

  private Asked read(ObjectNode body) {
    RequestFields fields = new RequestFields(body);
    return new Asked(
        ResponsesFields.read(fields, config, model, store), ResponseSettings.of(fields));
  }

  private void stream(Answer answer, GenerationReader reader, SseWriter sse)
      throws InterruptedException {
    ResponseEvents events = new ResponseEvents(sse);
    ResponseOutput output = new ResponseOutput(logprobs, answer.request, events::send);
    try (GatheredTokens.Share share = gathered.share()) { // the last event repeats them all
      events.send("response.created", Map.of("response", answer.begun()));
      events.send("response.in_progress", Map.of("response", answer.begun()));
      Ended end = readAll(answer.request, reader, output, share);
      ResponseObject whole = answer.ended(end, output, reader);
      boolean completed = whole.status().equals(ResponseItem.COMPLETED);
      // OpenAI has no event for what was cancelled, and clients wait for one that they know
      events.send(
          completed ? "response.completed" : "response.incomplete", Map.of("response", whole));
      sse.end();
    } catch (ApiException e) {
      events.fail(e);
    }
  }

  /** The choice's end, once there is one. */
  private static final class Ended implements GenerationReader.Sink {
    private final ResponseOutput output;
    private final Returned returned;
    private final List<Integer> ids = new ArrayList<>();
    private final List<Integer> forced = new ArrayList<>();
    private List<WeightRun> weights = List.of();
    private String status = ResponseItem.IN_PROGRESS;

    Ended(ResponseOutput output, Returned returned) {
      this.output = output;
      this.returned = returned;
    }

    /** What is told of the tokens. */
    ResponseObject.Tokens tokens() {
      return new ResponseObject.Tokens(
          returned.tokenIds() ? ids : null,
          WeightVersion.of(weights, returned.weightVersions()),
          returned.forced(forced));
    }

    @Override
    public void delta(ChoiceDelta delta) {
      output.add(delta);
      if (returned.tokenIds()) {
        ids.addAll(Logprobs.ids(delta.tokens()));
      }
      forced.addAll(delta.forced());
      weights = WeightRun.joined(weights, delta.weights());
      if (delta.end() != null) {
        status =
            switch (delta.end().finishReason()) {
              case "length" -> ResponseItem.INCOMPLETE;
              case "abort" -> CANCELLED;
              default -> ResponseItem.COMPLETED;
            };
      }
    }
  }

  private static Ended readAll(
      ChatRequest request,
      GenerationReader reader,
      ResponseOutput output,
      GatheredTokens.Share share)
      throws InterruptedException {
    Returned returned = request.common().returned();
    Ended end = new Ended(output, returned);
    reader.readAll(share.counting(end, output.keepsTokens() || returned.tokenIds()));
    return end;
  }

  /** Numbers and names the events. */
  private static final class ResponseEvents {
    private final SseWriter sse;
    private int number;

    ResponseEvents(SseWriter sse) {
      this.sse = sse;
    }

    void send(String type, Map<String, Object> fields) {
      sse.event(type, event(type, fields));
    }

    private Map<String, Object> event(String type, Map<String, Object> fields) {
      Map<String, Object> event = new LinkedHashMap<>();
      event.put("type", type);
      event.put("sequence_number", number++);
      event.putAll(fields);
      return event;
    }

    void fail(ApiException e) {
      Map<String, Object> fields = new LinkedHashMap<>();
      ErrorBody.Detail detail = ErrorBody.of(e).error();
      fields.put("code", detail.code());
      fields.put("message", detail.message());
      fields.put("param", detail.param());
      fields.put("error", detail);
      sse.fail("error", event("error", fields), e);
    }
  }

  /** The response object of one request at its various times. */
  private static final class Answer {
    private final ResponseSettings settings;
    private final ChatRequest request;
    private final CompletionId id;
    private final ResponseStore.Draft draft;

    Answer(
        ResponseSettings settings,
        ChatRequest request,
        CompletionId id,
        ResponseStore.Draft draft) {
      this.settings = settings;
      this.draft = draft;
      this.request = request;
      this.id = id;
    }

    ResponseObject begun() {
      return object(ResponseItem.IN_PROGRESS, List.of(), null, null, draft.open());
    }

    /** Whole; kept where that is wanted and there is room. */
    ResponseObject ended(Ended end, ResponseOutput output, GenerationReader reader) {
      ResponseObject.Usage usage =
          ResponseObject.Usage.of(
              request.prompt().length,
              reader.numTokens(),
              reader.cachedTokens(),
              reader.reasoningTokens());
      ResponseObject.Tokens tokens = end.tokens();
      ResponseObject whole = object(end.status, output.items(), usage, tokens, draft.open());
      boolean kept =
          draft.open() && draft.keep(id.id(), Json.bytes(whole), Json.bytes(output.items()));
      return kept == whole.store()
          ? whole
          : object(end.status, output.items(), usage, tokens, kept);
    }

    private ResponseObject object(
        String status,
        List<ResponseItem> output,
        ResponseObject.@Nullable Usage usage,
        ResponseObject.@Nullable Tokens tokens,
        boolean stored) {
      return new ResponseObject(
          id.id(),
          "response",
          id.created(),
          status,
          false,
          null,
          status.equals(ResponseItem.INCOMPLETE)
              ? new ResponseObject.IncompleteDetails("max_output_tokens")
              : null,
          settings.instructions(),
          settings.maxOutputTokens(),
          settings.metadata(),
          id.model(),
          output,
          settings.parallelToolCalls(),
          settings.previousResponseId(),
          settings.reasoning(),
          stored,
          id.fingerprint(),
          request.params().draw().temperature(),
          settings.text(),
          settings.toolChoice(),
          settings.tools(),
          request.params().draw().topP(),
          "disabled",
          usage,
          tokens);
    }
  }
}
