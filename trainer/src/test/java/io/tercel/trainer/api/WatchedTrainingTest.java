package io.tercel.trainer.api;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.ManagedChannel;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.NettyChannelBuilder;
import io.tercel.kernels.format.SafetensorsFile;
import io.tercel.proto.v1.CancelRequest;
import io.tercel.proto.v1.Figures;
import io.tercel.proto.v1.GenerateRequest;
import io.tercel.proto.v1.GetRunRequest;
import io.tercel.proto.v1.InferenceGrpc;
import io.tercel.proto.v1.RunStatus;
import io.tercel.proto.v1.TrainingGrpc;
import io.tercel.proto.v1.TrainingState;
import io.tercel.proto.v1.WatchRequest;
import io.tercel.proto.v1.WatchResponse;
import io.tercel.trainer.run.RunLog;
import io.tercel.trainer.testing.Commands;
import io.tercel.trainer.testing.TinyReasoner;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The training commands in processes of their own, watched and cancelled from this one. */
@Timeout(120)
final class WatchedTrainingTest {
  private static final Pattern PORT = Pattern.compile("gRPC on (\\d+)\\R");

  @TempDir static Path directory;

  @Test
  void distill_isWatchedAndCancelled() throws Exception {
    Path out = directory.resolve("distill");
    List<String> command =
        List.of(
            "distill",
            "--student=" + TinyReasoner.student("w3"),
            "--teacher=" + TinyReasoner.teacher(),
            "--data=problems:add",
            "--batch=2",
            "--out=" + out);
    watchAndCancel("distill", command, out);
  }

  @Test
  void grpo_isWatchedAndCancelled() throws Exception {
    Path out = directory.resolve("grpo");
    watchAndCancel(
        "grpo",
        List.of(
            "grpo",
            "--student=" + TinyReasoner.student("w3"),
            "--data=problems:add",
            "--reward=short={\"tokens\": 12}",
            "--batch=2",
            "--group=4",
            "--max-tokens=16",
            "--out=" + out),
        out);
  }

  private static void watchAndCancel(String name, List<String> command, Path out) throws Exception {
    List<String> arguments = new ArrayList<>(command);
    arguments.addAll(List.of("--steps=100000", "--serve=0", "--grpc-port=0"));
    Path output = directory.resolve(name + ".txt");
    Process process = Commands.start(output, arguments);
    ManagedChannel channel =
        NettyChannelBuilder.forAddress("127.0.0.1", port(process, output)).usePlaintext().build();
    try {
      TrainingGrpc.TrainingBlockingStub training =
          TrainingGrpc.newBlockingStub(channel).withDeadlineAfter(90, TimeUnit.SECONDS);
      assertEquals(name, training.getRun(GetRunRequest.getDefaultInstance()).getCommand());
      Iterator<WatchResponse> watched =
          training.watch(WatchRequest.newBuilder().setFromStep(1).build());
      for (int step = 1; step <= 3; step++) {
        WatchResponse message = watched.next();
        assertTrue(message.hasFigures(), () -> message + text(output));
        Figures figures = message.getFigures();
        assertEquals(step, figures.getStep());
        assertEquals(100_000, figures.getTotalSteps());
        assertEquals(step, figures.getWeightVersion());
        assertTrue(figures.getLearningRate() > 0, figures.getJson());
        assertTrue(figures.getTokensPerSecond() > 0, figures.getJson());
        assertEquals(name.equals("grpo"), figures.hasReward());
        assertEquals(name.equals("grpo"), figures.hasEntropy());
        assertEquals(name.equals("grpo"), figures.hasKlStart());
        assertEquals(name.equals("distill"), figures.hasLoss());
      }
      assertTrue(
          InferenceGrpc.newBlockingStub(channel)
              .generate(GenerateRequest.newBuilder().setText("2+2").setMaxTokens(3).build())
              .hasNext(),
          "it answers meanwhile");
      RunStatus ended = training.cancel(CancelRequest.getDefaultInstance()).getStatus();
      assertEquals(TrainingState.TRAINING_STATE_STOPPED, ended.getState());
      WatchResponse last = null;
      int seen = 3;
      while (watched.hasNext()) {
        last = watched.next();
        seen += last.hasFigures() ? 1 : 0;
      }
      assertEquals(ended, Objects.requireNonNull(last).getEnded());
      assertEquals(ended.getStep(), seen, "every step was seen");
      assertTrue(process.waitFor(60, TimeUnit.SECONDS), "it ends");
      assertEquals(143, process.exitValue(), () -> text(output));
      assertTrue(text(output).contains("Stopped after step " + seen + ";"), text(output));
      assertEquals(seen, RunLog.read(out.resolve(RunLog.FILE)).size());
      assertEquals(seen, savedSteps(out.resolve("training.safetensors")));
      assertFalse(Files.exists(out.resolve("model")));
    } catch (StatusRuntimeException e) {
      throw new AssertionError(text(output), e);
    } finally {
      channel.shutdownNow();
      process.destroyForcibly().waitFor();
    }
  }

  private static int savedSteps(Path checkpoint) {
    try (Arena arena = Arena.ofConfined()) {
      return (int)
          SafetensorsFile.open(checkpoint, arena).tensors().stream()
              .filter(tensor -> tensor.name().equals("steps"))
              .findFirst()
              .orElseThrow()
              .floatAt(1);
    }
  }

  private static int port(Process process, Path output) throws Exception {
    while (process.isAlive()) {
      Matcher matcher = PORT.matcher(text(output));
      if (matcher.find()) {
        return Integer.parseInt(matcher.group(1));
      }
      Thread.sleep(20);
    }
    throw new AssertionError(text(output));
  }

  private static String text(Path output) {
    try {
      return Files.readString(output);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
