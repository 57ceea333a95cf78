package io.tercel.trainer.rollout;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.server.call.Keys;
import io.tercel.server.engine.Engine;
import io.tercel.server.engine.EngineEvent;
import io.tercel.server.engine.Generation;
import io.tercel.server.engine.GenerationRequest;
import io.tercel.server.engine.InvalidRequestException;
import io.tercel.server.engine.SamplingParams;
import io.tercel.server.engine.StaleKv;
import io.tercel.server.model.ServingOptions;
import io.tercel.trainer.data.PromptSet.Prompt;
import io.tercel.trainer.rollout.Rollouts.Sampling;
import io.tercel.trainer.share.ServedStudent;
import io.tercel.trainer.testing.TinyReasoner;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Answers are a function of prompts, weights and seeds, and their scores are the engine's own. */
final class RolloutsTest {
  private static final List<Prompt> PROMPTS =
      List.of(
          new Prompt("a", new int[] {7, 20, 21, 9}, "1"),
          new Prompt("b", new int[] {30, 31}, "2"),
          new Prompt("c", new int[] {12, 13, 14, 15, 16, 17}, "3"));

  private static ServedStudent served(String student, String kv, int atATime) {
    return served(student, kv, atATime, 1000);
  }

  private static ServedStudent served(String student, String kv, int atATime, int waiting) {
    ServingOptions options =
        new ServingOptions().kvCacheDtype(kv).maxNumSeqs(atATime).maxWaiting(waiting).threads(1);
    return ServedStudent.open(
        TinyReasoner.student(student), options, null, Keys.of(null, null), List.of());
  }

  /** Scoring a rollout as a prompt gives its log-probabilities to the bit. */
  @ParameterizedTest
  @CsvSource({"w3,fp32", "w3,fp16", "w3,int4", "w4,int4"})
  void logProbs_areThoseOfPromptsScored(String student, String kv) throws InterruptedException {
    try (ServedStudent served = served(student, kv, 8)) {
      Engine engine = served.running().served().engine();
      try (Rollouts rollouts = new Rollouts(engine, new Sampling(1, 1, 12))) {
        for (List<Rollout> group : rollouts.groups(PROMPTS, 4, 5, StaleKv.DROP)) {
          for (Rollout rollout : group) {
            assertArrayEquals(scored(engine, rollout), rollout.logProbs());
            assertTrue(Arrays.stream(rollout.versions()).allMatch(version -> version == 0));
          }
        }
      }
    }
  }

  private static float[] scored(Engine engine, Rollout rollout) throws InterruptedException {
    int before = rollout.prompt().tokens().length;
    int[] whole = Arrays.copyOf(rollout.prompt().tokens(), before + rollout.tokens().length);
    System.arraycopy(rollout.tokens(), 0, whole, before, rollout.tokens().length);
    SamplingParams params = SamplingParams.builder().maxTokens(1).promptLogprobs(0).build();
    Generation generation = engine.submit(new GenerationRequest("score", whole, params));
    float[] scores = new float[rollout.tokens().length];
    while (true) {
      switch (generation.take()) {
        case EngineEvent.PromptScored scored -> {
          for (int i = 0; i < scores.length; i++) {
            scores[i] = scored.tokens().get(before - 1 + i).logprob();
          }
        }
        case EngineEvent.Finished _ -> {
          return scores;
        }
        case EngineEvent.Failed failed -> throw new IllegalStateException(failed.message());
        case EngineEvent.Started _, EngineEvent.Token _ -> {}
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"1", "3", "64"})
  void groups_areTheSame_howeverManyAtATime(int atATime) {
    List<String> expected = new ArrayList<>();
    List<String> actual = new ArrayList<>();
    answers(served("w3", "fp16", 12), expected);
    answers(served("w3", "fp16", atATime), actual);
    assertEquals(expected, actual);
    assertTrue(actual.stream().distinct().count() > 6, "seeds don't matter: " + actual);
  }

  /** A server that was started for others lets few wait: the others come later. */
  @Test
  void groups_thatMayNotWait_areAskedAgain() {
    List<String> expected = new ArrayList<>();
    List<String> actual = new ArrayList<>();
    answers(served("w3", "fp16", 12), expected);
    answers(served("w3", "fp16", 3, 0), actual);
    assertEquals(expected, actual);
    try (ServedStudent served = served("w3", "fp16", 2, 0);
        Rollouts rollouts =
            new Rollouts(served.running().served().engine(), new Sampling(1, 1, 10))) {
      InvalidRequestException e =
          assertThrows(
              InvalidRequestException.class, () -> rollouts.groups(PROMPTS, 3, 9, StaleKv.KEEP));
      assertTrue(String.valueOf(e.getMessage()).contains("3 sequences are asked for at once"));
    }
  }

  private static void answers(ServedStudent student, List<String> to) {
    try (ServedStudent served = student;
        Rollouts rollouts =
            new Rollouts(served.running().served().engine(), new Sampling(1, 1, 10))) {
      for (List<Rollout> group : rollouts.groups(PROMPTS, 3, 9, StaleKv.KEEP)) {
        assertEquals(3, group.size());
        for (Rollout rollout : group) {
          to.add(rollout.prompt().id() + Arrays.toString(rollout.tokens()));
          assertEquals(rollout.tokens().length, rollout.logProbs().length);
        }
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"true", "false"})
  void engineHasStopped_isSaid(boolean before) {
    ServedStudent served = served("w3", "fp16", 4);
    try (Rollouts rollouts =
        new Rollouts(served.running().served().engine(), new Sampling(1, 1, before ? 4 : 5000))) {
      if (before) {
        served.close();
        assertThrows(RuntimeException.class, () -> rollouts.groups(PROMPTS, 2, 1, StaleKv.DROP));
      } else {
        var group = rollouts.group(PROMPTS.getFirst(), 2, 1, StaleKv.DROP);
        served.close();
        // it may have come to its end before
        assertTrue(group.handle((rollout, error) -> rollout != null || error != null).join());
      }
    }
  }
}
