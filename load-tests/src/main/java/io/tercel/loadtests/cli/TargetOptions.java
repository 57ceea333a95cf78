package io.tercel.loadtests.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.loadtests.client.GrpcTarget;
import io.tercel.loadtests.client.HttpTarget;
import io.tercel.loadtests.client.SpreadTarget;
import io.tercel.loadtests.client.Target;
import io.tercel.server.UserException;
import java.net.URI;
import java.net.URISyntaxException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Which server, and what every request asks of it. */
final class TargetOptions {
  static final String CHAT = "/v1/chat/completions";
  private static final String GRPC = "grpc";
  static final String COMPLETIONS = "/v1/completions";

  @Option(
      names = {"--base-url", "--url"},
      paramLabel = "URL",
      description =
          "The server, with or without /v1; several with commas between them get requests in turn"
              + " (default: ${DEFAULT-VALUE}).")
  String baseUrl = "http://127.0.0.1:8000";

  @Option(
      names = "--backend",
      paramLabel = "NAME",
      description =
          "openai (completions), openai-chat or grpc. Default: what the endpoint says; for files"
              + " openai-chat, else openai.")
  @Nullable String backend;

  @Option(
      names = "--endpoint",
      paramLabel = "PATH",
      description =
          "/v1/completions (prompts of exact length, as token ids) or /v1/chat/completions."
              + " Default: the backend's.")
  @Nullable String endpoint;

  @Option(
      names = "--grpc-target",
      paramLabel = "HOST:PORT",
      description =
          "For --backend grpc, one or several with commas: Inference.Generate, or ChatCompletions with a chat endpoint. The"
              + " model, token ids and /metrics are still asked at --base-url.")
  @Nullable String grpcTarget;

  @Option(
      names = "--model",
      paramLabel = "ID",
      description = "Default: the first that the server lists.")
  @Nullable String model;

  @Option(
      names = "--api-key",
      paramLabel = "KEY",
      description = "Sent as a bearer token. Default: the environment's TERCEL_API_KEY.")
  @Nullable String apiKey = System.getenv("TERCEL_API_KEY");

  @Option(
      names = "--timeout",
      paramLabel = "TIME",
      description = "How long a client waits for its whole answer: 90, 90s, 10m (default: 600s).")
  String timeout = "600s";

  @Option(
      names = "--temperature",
      paramLabel = "T",
      description = "0 is greedy. Default of all sampling options: the server's.")
  @Nullable Double temperature;

  @Option(names = "--top-p", paramLabel = "P")
  @Nullable Double topP;

  @Option(names = "--top-k", paramLabel = "K")
  @Nullable Integer topK;

  @Option(names = "--min-p", paramLabel = "P")
  @Nullable Double minP;

  @Option(names = "--frequency-penalty", paramLabel = "X")
  @Nullable Double frequencyPenalty;

  @Option(names = "--presence-penalty", paramLabel = "X")
  @Nullable Double presencePenalty;

  @Option(names = "--repetition-penalty", paramLabel = "X")
  @Nullable Double repetitionPenalty;

  @Option(
      names = "--ignore-eos",
      negatable = true,
      description =
          "Answers go on to their full length. Default: for random and prefix_repetition yes, for"
              + " files no.")
  @Nullable Boolean ignoreEos;

  @Option(
      names = "--extra-body",
      paramLabel = "JSON",
      description = "Fields for every request; they win over all others.")
  @Nullable String extraBody;

  /**
   * The endpoint's path, and that it fits the backend.
   *
   * @param chat a chat is meant unless something else is said
   */
  String path(boolean chat) {
    String byBackend =
        switch (backend) {
          case null -> chat ? CHAT : COMPLETIONS;
          case "openai", "vllm" -> COMPLETIONS;
          case "openai-chat" -> CHAT;
          case GRPC -> chat ? CHAT : COMPLETIONS;
          default ->
              throw new UserException(
                  "--backend: no '" + backend + "'; choose openai, openai-chat or grpc");
        };
    String path = endpoint == null ? byBackend : endpoint;
    if (!path.startsWith("/") || !path.endsWith("/completions")) {
      throw new UserException(
          "--endpoint: '" + path + "'; expected " + COMPLETIONS + " or " + CHAT);
    }
    checkGrpc();
    if (backend != null && !isGrpc() && HttpTarget.isChat(path) != HttpTarget.isChat(byBackend)) {
      throw new UserException(
          "--endpoint: " + path + " does not fit --backend " + backend + "; leave one of them out");
    }
    return path;
  }

  boolean isGrpc() {
    return GRPC.equals(backend);
  }

  private void checkGrpc() {
    if (isGrpc() && grpcTarget == null) {
      throw new UserException("--backend grpc: --grpc-target HOST:PORT is missing");
    }
    if (grpcTarget != null && !isGrpc()) {
      throw new UserException("--grpc-target: is for --backend grpc; add that, or leave it out");
    }
    if (grpcTarget != null && !grpcTarget.matches("[^,]+:\\d{1,5}(,[^,]+:\\d{1,5})*")) {
      throw new UserException(
          "--grpc-target: '" + grpcTarget + "'; expected HOST:PORT, such as 127.0.0.1:8001");
    }
  }

  /** The servers under load. */
  Target target(String path, String modelId, ObjectNode extra) {
    List<Target> targets = new ArrayList<>();
    String grpc = grpcTarget;
    if (grpc == null) {
      for (String base : bases()) {
        targets.add(new HttpTarget(URI.create(base + path), apiKey, modelId, extra, timeout()));
      }
    } else {
      boolean chat = HttpTarget.isChat(path);
      for (String address : grpc.split(",", -1)) {
        targets.add(new GrpcTarget(address, apiKey, chat, modelId, extra, timeout()));
      }
    }
    return targets.size() == 1 ? targets.getFirst() : new SpreadTarget(targets);
  }

  String backendName(String path) {
    return backend != null ? backend : HttpTarget.isChat(path) ? "openai-chat" : "openai";
  }

  /** The first server's address without {@code /v1} and slashes at the end. */
  String base() {
    return bases().getFirst();
  }

  private List<String> bases() {
    return Arrays.stream(baseUrl.split(",", -1)).map(TargetOptions::base).toList();
  }

  /** An address of {@code --base-url} without {@code /v1} and slashes at the end. */
  static String base(String url) {
    address("--base-url", url);
    return url.replaceAll("/+$", "").replaceAll("/v1$", "");
  }

  /**
   * A server's address.
   *
   * @throws UserException if it has no host, or is not of HTTP
   */
  static URI address(String option, String url) {
    try {
      URI uri = new URI(url);
      if (uri.getHost() != null
          && ("http".equals(uri.getScheme()) || "https".equals(uri.getScheme()))) {
        return uri;
      }
    } catch (URISyntaxException e) {
      // said below
    }
    throw new UserException(option + ": '" + url + "' is no address; expected http://HOST:PORT");
  }

  Duration timeout() {
    return Times.parse("--timeout", timeout);
  }

  /** Fields for all requests. */
  ObjectNode extra(boolean ignoreEosByDefault) {
    ObjectNode extra = new ObjectMapper().createObjectNode();
    put(extra, "temperature", temperature);
    put(extra, "top_p", topP);
    put(extra, "min_p", minP);
    put(extra, "frequency_penalty", frequencyPenalty);
    put(extra, "presence_penalty", presencePenalty);
    put(extra, "repetition_penalty", repetitionPenalty);
    if (topK != null) {
      extra.put("top_k", topK);
    }
    if (ignoreEos == null ? ignoreEosByDefault : ignoreEos) {
      extra.put("ignore_eos", true);
    }
    if (extraBody != null) {
      try {
        JsonNode more = new ObjectMapper().readTree(extraBody);
        if (more instanceof ObjectNode fields) {
          extra.setAll(fields);
          return extra;
        }
      } catch (JsonProcessingException e) {
        // said below
      }
      throw new UserException(
          "--extra-body: not a JSON object; expected e.g. '{\"min_tokens\": 8}'");
    }
    return extra;
  }

  private static void put(ObjectNode extra, String field, @Nullable Double value) {
    if (value != null) {
      extra.put(field, value);
    }
  }
}
