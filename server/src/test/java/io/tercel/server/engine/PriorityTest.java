package io.tercel.server.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.server.engine.Scheduler.Chunk;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Who runs, who yields and who waits: schedules, without an engine. */
class PriorityTest {
  private static final int CHAT = 0;
  private static final int ROLLOUT = 10;

  private BlockManager blocks = new BlockManager(16, 4, true);
  private Scheduler scheduler = new Scheduler(blocks, 4, 32);
  private long arrival;
  private int token;

  private Sequence add(int priority, int length) {
    return add(priority, length, 1).getFirst();
  }

  private List<Sequence> add(int priority, int length, int n) {
    int[] prompt = new int[length];
    Arrays.setAll(prompt, i -> token++); // no two prompts share a block
    SamplingParams params = SamplingParams.builder().n(n).maxTokens(99).build();
    GenerationRequest request = new GenerationRequest("x", prompt, params, priority);
    QueuedGeneration generation = new QueuedGeneration("x", n, new SchedulerPropertyTest.Nobody());
    List<Sequence> all = new ArrayList<>();
    for (int choice = 0; choice < n; choice++) {
      all.add(
          new Sequence(generation, request, choice, choice == 0 ? null : all.getFirst(), arrival));
    }
    arrival++;
    all.forEach(scheduler::add);
    return all;
  }

  /** Computes a step; who was in it, by rank within a priority. */
  private List<Sequence> step() {
    List<Chunk> chunks = List.copyOf(scheduler.schedule());
    scheduler.checkInvariants();
    for (Chunk chunk : chunks) {
      scheduler.computed(chunk.sequence(), chunk.count());
      chunk.sequence().start();
      if (chunk.sequence().numNewTokens() == 0) {
        chunk.sequence().append(token++);
      }
    }
    return chunks.stream().map(Chunk::sequence).toList();
  }

  @Test
  void admission_goesByPriorityThenArrival() {
    Sequence late = add(ROLLOUT, 4);
    Sequence first = add(CHAT, 4);
    Sequence second = add(CHAT, 4);
    assertEquals(List.of(first, second, late), step());
  }

  @Test
  void allPlacesTaken_chatTakesTheYoungestRollouts() {
    List<Sequence> rollouts = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      rollouts.add(add(ROLLOUT, 4));
    }
    assertEquals(rollouts, step());
    Sequence chat = add(CHAT, 4);
    assertEquals(List.of(chat, rollouts.get(0), rollouts.get(1), rollouts.get(2)), step());
    assertEquals(1, scheduler.preemptions());
    scheduler.remove(chat);
    assertEquals(rollouts, step(), "it comes back to its place");
    assertTrue(blocks.recoveredTokens() > 0, "to its own blocks");
  }

  @Test
  void allBlocksTaken_chatTakesWhatItNeedsAndNoMore() {
    Sequence large = add(ROLLOUT, 30);
    Sequence small = add(ROLLOUT, 15);
    step();
    step();
    assertEquals(2, scheduler.numRunning());
    Sequence chat = add(CHAT, 20);
    List<Sequence> step = step();
    assertEquals(List.of(chat, large), step);
    assertEquals(1, scheduler.numWaiting());
    scheduler.remove(large);
    assertTrue(step().contains(small));
  }

  @Test
  void equals_neverYieldToOneWhoWaits() {
    for (int i = 0; i < 4; i++) {
      add(CHAT, 4);
    }
    step();
    add(CHAT, 4);
    for (int i = 0; i < 8; i++) {
      step();
    }
    assertEquals(0, scheduler.preemptions());
    assertEquals(1, scheduler.numWaiting());
  }

  /** Small ones behind a large one must not eat the room that it waits for. */
  @Test
  void largeOne_isNotOvertakenForEver() {
    add(CHAT, 20);
    step();
    Sequence large = add(CHAT, 50);
    for (int i = 0; i < 8; i++) {
      add(CHAT, 1);
      add(ROLLOUT, 1);
      assertTrue(step().size() == 1, "nobody passes the one who waits");
    }
    scheduler.remove(scheduler.all().getFirst());
    assertTrue(step().contains(large));
  }

  @Test
  void needsABlock_theLastRolloutGoesBeforeAnyChat() {
    Sequence rollout = add(ROLLOUT, 12);
    step();
    Sequence chat = add(CHAT, 40);
    step();
    while (scheduler.preemptions() == 0) {
      step();
    }
    assertEquals(Sequence.State.WAITING, rollout.state());
    assertEquals(Sequence.State.RUNNING, chat.state());
  }

  @Test
  void longPrompt_leavesDecodesTheirTokens() {
    Sequence rollout = add(ROLLOUT, 4);
    step();
    Sequence chat = add(CHAT, 50);
    for (int i = 0; i < 2; i++) {
      assertEquals(List.of(chat, rollout), step());
    }
    assertEquals(50, chat.numPromptTokens());
    assertEquals(1, chat.numGeneratedTokens());
  }

  @Test
  void choices_waitForTheFirstAndShareItsBlocks() {
    List<Sequence> choices = add(CHAT, 39, 3);
    assertEquals(choices.subList(0, 1), step());
    assertEquals(choices.subList(0, 1), step());
    assertEquals(choices, step());
    for (int i = 0; i < 9; i++) {
      assertEquals(choices.get(0).block(i), choices.get(2).block(i));
    }
    assertTrue(choices.get(0).block(9) != choices.get(1).block(9), "the tail is each one's own");
    // 16 blocks: 9 shared, and a tail each; alone they would take 30
    assertEquals(16 - 9 - 3, blocks.numFree());
  }

  @Test
  void choices_doNotWaitForOneThatIsGone() {
    List<Sequence> choices = add(CHAT, 20, 3);
    scheduler.remove(choices.getFirst());
    assertEquals(choices.subList(1, 3), step());
  }
}
