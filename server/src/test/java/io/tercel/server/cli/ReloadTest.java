package io.tercel.server.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.NettyChannelBuilder;
import io.tercel.kernels.testing.TinyCheckpoint;
import io.tercel.proto.v1.ControlGrpc;
import io.tercel.proto.v1.GenerateRequest;
import io.tercel.proto.v1.GenerateResponse;
import io.tercel.proto.v1.GetInfoRequest;
import io.tercel.proto.v1.GetInfoResponse;
import io.tercel.proto.v1.GetWeightChecksumRequest;
import io.tercel.proto.v1.GetWeightChecksumResponse;
import io.tercel.proto.v1.InferenceGrpc;
import io.tercel.proto.v1.ReloadRequest;
import io.tercel.proto.v1.Token;
import io.tercel.proto.v1.TopLogprob;
import io.tercel.server.control.ServerControl;
import io.tercel.server.grpc.GrpcServer;
import io.tercel.server.testing.TestServing;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Real weights over gRPC: what they say, and changing them while they serve. */
class ReloadTest {
  @TempDir private Path directory;
  private TestServing serving;
  private GrpcServer grpc;
  private ManagedChannel channel;

  @BeforeEach
  void start() throws Exception {
    checkpoint(1).write(directory);
    serving = new TestServing(directory, TestServing.fp32());
    grpc =
        new GrpcServer(
            serving.api(),
            serving.config(),
            0,
            new ServerControl(
                serving.api(), serving.model().info(), serving.model().servedWeights()),
            List.of());
    grpc.start();
    channel = NettyChannelBuilder.forAddress("127.0.0.1", grpc.port()).usePlaintext().build();
  }

  @AfterEach
  void stop() {
    channel.shutdownNow();
    grpc.close();
    serving.close();
  }

  private static TinyCheckpoint checkpoint(long seed) {
    return TinyCheckpoint.qwen3().seed(seed);
  }

  private InferenceGrpc.InferenceBlockingStub inference() {
    return InferenceGrpc.newBlockingStub(channel).withDeadlineAfter(60, TimeUnit.SECONDS);
  }

  private ControlGrpc.ControlBlockingStub control() {
    return ControlGrpc.newBlockingStub(channel).withDeadlineAfter(60, TimeUnit.SECONDS);
  }

  private GetInfoResponse info() {
    return control().getInfo(GetInfoRequest.getDefaultInstance());
  }

  private GetWeightChecksumResponse checksum() {
    return control().getWeightChecksum(GetWeightChecksumRequest.getDefaultInstance());
  }

  private long reload() {
    return control().reload(ReloadRequest.getDefaultInstance()).getWeightVersion();
  }

  private List<Token> generate(Consumer<GenerateRequest.Builder> change) {
    GenerateRequest.Builder request =
        GenerateRequest.newBuilder().setText("Once upon").setMaxTokens(24).setIgnoreEos(true);
    change.accept(request);
    return tokens(inference().generate(request.build()), 0);
  }

  private static List<Token> tokens(Iterator<GenerateResponse> messages, int choice) {
    List<Token> all = new ArrayList<>();
    while (messages.hasNext()) {
      GenerateResponse message = messages.next();
      if (message.hasDelta() && message.getDelta().getIndex() == choice) {
        all.addAll(message.getDelta().getTokensList());
      }
    }
    return all;
  }

  private List<Integer> greedy() {
    return generate(r -> r.setTemperature(0)).stream().map(Token::getId).toList();
  }

  /** The same request and seed over both wires: texts, tokens and log-probs to the last bit. */
  @Test
  void sampled_sameAsHttp() throws Exception {
    Map<String, Object> body = new LinkedHashMap<>();
    body.put("prompt", "Once upon");
    body.put("max_tokens", 40);
    body.put("temperature", 1.2);
    body.put("top_p", 0.9);
    body.put("seed", 11);
    body.put("n", 3);
    body.put("logprobs", 4);
    body.put("return_token_ids", true);
    JsonNode http = serving.post("/v1/completions", body);
    GenerateRequest request =
        GenerateRequest.newBuilder()
            .setText("Once upon")
            .setMaxTokens(40)
            .setTemperature(1.2f)
            .setTopP(0.9f)
            .setSeed(11)
            .setN(3)
            .setLogprobs(4)
            .build();
    List<GenerateResponse> messages = new ArrayList<>();
    inference().generate(request).forEachRemaining(messages::add);
    TreeSet<String> different = new TreeSet<>();
    for (int i = 0; i < 3; i++) {
      JsonNode choice = http.get("choices").get(i);
      List<Token> tokens = tokens(messages.iterator(), i);
      assertEquals(choice.get("text").textValue(), text(messages, i));
      assertEquals(choice.get("token_ids").size(), tokens.size());
      for (int t = 0; t < tokens.size(); t++) {
        assertEquals(choice.get("token_ids").get(t).intValue(), tokens.get(t).getId());
        JsonNode scores = choice.get("logprobs");
        assertEquals(scores.get("token_logprobs").get(t).floatValue(), tokens.get(t).getLogprob());
        TreeSet<Float> top = new TreeSet<>();
        tokens.get(t).getTopList().stream().map(TopLogprob::getLogprob).forEach(top::add);
        TreeSet<Float> known = new TreeSet<>();
        scores.get("top_logprobs").get(t).forEach(score -> known.add(score.floatValue()));
        known.remove(tokens.get(t).getLogprob()); // HTTP has the drawn one among them
        assertTrue(top.containsAll(known), top + " has " + known);
      }
      different.add(text(messages, i));
    }
    assertTrue(different.size() > 1, "the choices are draws of their own");
  }

  private static String text(List<GenerateResponse> messages, int choice) {
    return messages.stream()
        .filter(m -> m.hasDelta() && m.getDelta().getIndex() == choice)
        .map(m -> m.getDelta().getText())
        .collect(Collectors.joining());
  }

  @Test
  void reload_changesTheAnswer_andTheVersion() throws Exception {
    List<Integer> before = greedy();
    GetWeightChecksumResponse sum = checksum();
    assertEquals("sha-256", sum.getAlgorithm());
    assertEquals(64, sum.getDigest().length());
    assertEquals(0, info().getWeightVersion());

    assertEquals(1, reload(), "the same files are a new version all the same");
    assertEquals(sum.getDigest(), checksum().getDigest());
    assertEquals(1, checksum().getWeightVersion());
    assertEquals(before, greedy());

    checkpoint(2).write(directory);
    assertEquals(2, reload());
    assertEquals(2, info().getWeightVersion());
    assertNotEquals(sum.getDigest(), checksum().getDigest());
    assertEquals(sum.getHashedBytes(), checksum().getHashedBytes());
    List<Integer> after = greedy();
    assertNotEquals(before, after);
    assertTrue(
        generate(r -> r.setTemperature(0)).stream().allMatch(t -> t.getWeightVersion() == 2));

    try (TestServing fresh = new TestServing(directory, TestServing.fp32())) {
      JsonNode loaded =
          fresh.post(
              "/v1/completions",
              Map.of(
                  "prompt",
                  "Once upon",
                  "max_tokens",
                  24,
                  "temperature",
                  0,
                  "ignore_eos",
                  true,
                  "return_token_ids",
                  true));
      List<Integer> ids = new ArrayList<>();
      loaded.get("choices").get(0).get("token_ids").forEach(id -> ids.add(id.intValue()));
      assertEquals(ids, after, "as if it had been started with them");
    }
  }

  /** Neither a broken file nor another shape does any harm. */
  @Test
  void badCheckpoint_leavesTheOldOneServing() throws Exception {
    List<Integer> before = greedy();
    String digest = checksum().getDigest();
    byte[] config = Files.readAllBytes(directory.resolve("config.json"));
    byte[] weights = Files.readAllBytes(directory.resolve("model.safetensors"));

    Files.write(directory.resolve("model.safetensors"), new byte[100]);
    refused("model.safetensors");
    Files.delete(directory.resolve("model.safetensors"));
    refused("safetensors");
    checkpoint(2).hidden(128).write(directory);
    refused("configuration");
    checkpoint(2).dtype("F32").write(directory);
    refused("embed_tokens");

    assertEquals(digest, checksum().getDigest());
    assertEquals(0, info().getWeightVersion());
    assertEquals(before, greedy());
    Files.write(directory.resolve("config.json"), config);
    Files.write(directory.resolve("model.safetensors"), weights);
    assertEquals(1, reload());
    assertEquals(before, greedy());
  }

  private void refused(String named) {
    StatusRuntimeException e = assertThrows(StatusRuntimeException.class, this::reload);
    assertEquals(Status.Code.FAILED_PRECONDITION, e.getStatus().getCode(), e.getMessage());
    String description = String.valueOf(e.getStatus().getDescription());
    assertTrue(description.contains(named), description);
    assertEquals(1, description.lines().count());
  }

  /** What runs goes on over the change, and every token says whose it is. */
  @ParameterizedTest
  @ValueSource(strings = {"drop", "keep"})
  void generationUnderWay_goesOn(String stale) throws Exception {
    Iterator<GenerateResponse> running =
        inference()
            .generate(
                GenerateRequest.newBuilder()
                    .setText("Once upon")
                    .setMaxTokens(1500)
                    .setIgnoreEos(true)
                    .setSeed(3)
                    .setStaleKv(stale)
                    .build());
    List<Token> tokens = new ArrayList<>();
    while (tokens.size() < 4) {
      tokens.addAll(running.next().getDelta().getTokensList());
    }
    checkpoint(2).write(directory);
    long version = reload();
    assertEquals(1, version);
    tokens.addAll(tokens(running, 0));
    assertEquals(1500, tokens.size());
    List<Long> versions = tokens.stream().map(Token::getWeightVersion).toList();
    assertEquals(0, versions.getFirst());
    assertEquals(1, versions.getLast());
    assertEquals(versions.stream().sorted().toList(), versions);
  }
}
