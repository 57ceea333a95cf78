package io.tercel.server.engine;

import static io.tercel.server.engine.ServiceClass.BATCH;
import static io.tercel.server.engine.ServiceClass.CHAT;
import static io.tercel.server.engine.ServiceClass.ROLLOUT;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.ops.Penalties;
import io.tercel.kernels.ops.TokenResult;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** Classes of service among each other: schedules, without an engine. Shares are 6 to 3 to 1. */
class ServiceClassTest {
  private final SchedulerLab lab = new SchedulerLab(100, 11, 99);

  private List<Sequence> add(int count, ServiceClass c, int length) {
    List<Sequence> all = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      all.add(lab.add(c, length));
    }
    return all;
  }

  private static long running(List<Sequence> of) {
    return of.stream().filter(s -> s.state() == Sequence.State.RUNNING).count();
  }

  @Test
  void loneClass_hasAllPlacesAndAllTokens() {
    List<Sequence> batch = add(11, BATCH, 9);
    assertEquals(99, lab.counts().values().stream().mapToInt(i -> i).sum());
    assertEquals(11, running(batch));
  }

  @Test
  void chats_takeBackWhatRolloutsHaveAboveTheirShare_andNoMore() {
    List<Sequence> rollouts = add(11, ROLLOUT, 4);
    lab.step();
    assertEquals(11, running(rollouts));
    List<Sequence> chats = add(20, CHAT, 4);
    for (int i = 0; i < 20; i++) {
      lab.step();
    }
    assertEquals(7, running(chats), "1 + 9 * 6/9");
    assertEquals(4, running(rollouts), "1 + 9 * 3/9");
    assertEquals(4, running(rollouts.subList(0, 4)), "the first in rank");
  }

  @Test
  void rollouts_waitForAFreePlaceOfChatsAboveTheirShare_andGetIt() {
    List<Sequence> chats = add(20, CHAT, 4);
    lab.step();
    List<Sequence> rollouts = add(9, ROLLOUT, 4);
    for (int i = 0; i < 5; i++) {
      lab.step();
    }
    assertEquals(0, running(rollouts), "a chat is never set back for a rollout");
    for (int i = 0; i < 8; i++) {
      lab.scheduler.remove(
          chats.stream()
              .filter(s -> s.state() == Sequence.State.RUNNING)
              .findFirst()
              .orElseThrow());
      lab.step();
    }
    assertEquals(0, lab.scheduler.preemptions());
    assertEquals(4, running(rollouts));
    assertEquals(7, running(chats));
  }

  @Test
  void rolloutsHoldAllBlocks_chatTakesOfTheirSurplus() {
    List<Sequence> rollouts = add(5, ROLLOUT, 70);
    for (int i = 0; i < 5; i++) {
      lab.step();
    }
    assertEquals(5, running(rollouts));
    assertTrue(lab.blocks.numFree() < 10);
    Sequence chat = lab.add(CHAT, 60);
    assertTrue(lab.step().contains(chat));
    assertEquals(4, running(rollouts));
  }

  /** One long rollout may hold more than its class's share, but it is not lost to every chat. */
  @Test
  void firstOfAClass_isNeverSetBackForAnother() {
    Sequence first = lab.add(ROLLOUT, 260);
    List<Sequence> others = add(3, ROLLOUT, 40);
    for (int i = 0; i < 6; i++) {
      lab.step();
    }
    List<Sequence> chats = add(9, CHAT, 30);
    for (int i = 0; i < 40; i++) {
      lab.step();
    }
    assertEquals(Sequence.State.RUNNING, first.state());
    assertEquals(0, running(others), "these made room");
    assertTrue(running(chats) > 0);
    int said = first.numGeneratedTokens();
    lab.step();
    assertEquals(said + 1, first.numGeneratedTokens());
  }

  /**
   * Both fill their fourth block; who is first in the step finds none, and only firsts beside it.
   */
  @Test
  void firstThatGrows_goesItself_ratherThanTheFirstOfAnotherClass() {
    SchedulerLab small = new SchedulerLab(8, 4, 64);
    Sequence chat = small.add(CHAT, 14);
    Sequence rollout = small.add(ROLLOUT, 14);
    while (small.scheduler.preemptions() == 0) {
      small.step();
    }
    assertEquals(Sequence.State.WAITING, chat.state());
    assertEquals(Sequence.State.RUNNING, rollout.state());
    assertEquals(0, small.scheduler.queue(ROLLOUT).preemptions());
  }

  @Test
  void stepsTokens_areSharedByClass() {
    Sequence rollout = lab.add(ROLLOUT, 200);
    lab.step();
    Sequence chat = lab.add(CHAT, 150);
    Map<Sequence, Integer> counts = lab.counts();
    assertEquals(1 + 97 * 6 / 9, counts.get(chat));
    assertEquals(
        99 - counts.getOrDefault(chat, 0), counts.get(rollout), "with what the roundings leave");
    Sequence batch = lab.add(BATCH, 50);
    counts = lab.counts();
    assertEquals(1 + 96 / 10, counts.get(batch));
  }

  @Test
  void tokensThatAClassDoesNotUse_areTheOthers() {
    Sequence chat = lab.add(CHAT, 10);
    Sequence rollout = lab.add(ROLLOUT, 200);
    assertEquals(Map.of(chat, 10, rollout, 89), lab.counts());
  }

  @Test
  void freePlace_goesToTheClassWithTheSmallestPartOfItsShare() {
    List<Sequence> chats = add(9, CHAT, 4);
    List<Sequence> rollouts = add(9, ROLLOUT, 4);
    List<Sequence> batch = add(9, BATCH, 4);
    lab.step();
    assertEquals(List.of(6L, 4L, 1L), List.of(running(chats), running(rollouts), running(batch)));
  }

  /** Nobody's turn is put off for ever where places are fewer than classes. */
  @Test
  void onePlace_isTakenInTurn() {
    SchedulerLab small = new SchedulerLab(16, 1, 8);
    List<ServiceClass> turns = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      small.add(CHAT, 4);
      small.add(ROLLOUT, 4);
    }
    for (int i = 0; i < 6; i++) {
      Sequence s = small.step().getFirst();
      turns.add(s.serviceClass());
      small.scheduler.remove(s);
    }
    assertEquals(List.of(CHAT, ROLLOUT, CHAT, ROLLOUT, CHAT, ROLLOUT), turns);
    assertEquals(0, small.scheduler.preemptions());
  }

  /** Chats come without end and rollouts all the same finish, in a pool that is far too small. */
  @Test
  void endlessChats_starveNoRollout() {
    SchedulerLab small = new SchedulerLab(40, 4, 16);
    List<Sequence> rollouts = new ArrayList<>();
    for (int i = 0; i < 6; i++) {
      rollouts.add(small.add(ROLLOUT, 30));
    }
    rollouts.add(small.add(BATCH, 30));
    int finished = 0;
    for (int step = 0; step < 5000 && finished < rollouts.size(); step++) {
      while (small.scheduler.queue(CHAT).numWaiting() < 3) {
        small.add(CHAT, 20);
      }
      for (Sequence s : small.step()) {
        boolean chat = s.serviceClass() == CHAT;
        if (s.numGeneratedTokens() >= (chat ? 20 : 60)) {
          small.scheduler.remove(s);
          finished += chat ? 0 : 1;
        }
      }
    }
    assertEquals(rollouts.size(), finished);
    assertTrue(small.scheduler.queue(ROLLOUT).preemptions() > 0, "chats have set some back");
  }

  /**
   * Four choices of 39 tokens hold 9 blocks together and one each: 13, not 40. A chat of 66 needs
   * 17, and 3 are free, so setting them back would gain it nothing.
   */
  @Test
  void makeWay_countsWhatWouldReallyComeFree() {
    SchedulerLab small = new SchedulerLab(22, 8, 64);
    small.add(CHAT, 24);
    List<Sequence> choices =
        small.add(SchedulerLab.request(small.prompt(39), 4).withServiceClass(ROLLOUT));
    for (int i = 0; i < 2; i++) {
      small.step();
    }
    assertEquals(4, running(choices));
    assertEquals(13, small.blocks.numHeld(ROLLOUT), "what is shared counts once");
    Sequence large = small.add(CHAT, 66);
    small.step();
    assertEquals(0, small.scheduler.preemptions());
    assertEquals(Sequence.State.WAITING, large.state());
  }

  /** The newcomer begins with the very blocks that would come free: they are no gain. */
  @Test
  void makeWay_doesNotCountBlocksThatTheNewcomerWouldTakeItself() {
    SchedulerLab small = new SchedulerLab(16, 8, 64);
    int[] prompt = small.prompt(33);
    Sequence rollout =
        small
            .add(SchedulerLab.request(prompt, 1).withServiceClass(ROLLOUT).withPriority(1))
            .getFirst();
    Sequence other = small.add(CHAT, 26);
    small.step();
    assertEquals(0, small.blocks.numFree());
    int[] longer = Arrays.copyOf(prompt, 45); // 12 blocks, 8 of them the rollout's
    Sequence same = small.add(SchedulerLab.request(longer, 1).withServiceClass(ROLLOUT)).getFirst();
    small.step();
    assertEquals(0, small.scheduler.preemptions(), "one block would come, four are lacking");
    small.scheduler.remove(other);
    assertTrue(small.step().contains(same));
    assertEquals(Sequence.State.RUNNING, rollout.state());
  }

  /** Scores that nobody has seen yet are the older weights', as the keys are. */
  @Test
  void newWeights_scoresOfThePromptSoFar_goWithTheKeys() {
    for (StaleKv staleKv : StaleKv.values()) {
      SamplingParams params = SamplingParams.builder().maxTokens(9).promptLogprobs(0).build();
      Sequence s =
          lab.add(new GenerationRequest("p", lab.prompt(150), params).withStaleKv(staleKv))
              .getFirst();
      lab.step();
      List<TokenResult> scores = Objects.requireNonNull(s.promptScores());
      scores.add(new TokenResult(0, -1, 1, List.of()));
      lab.newWeights();
      assertEquals(staleKv == StaleKv.KEEP ? 1 : 0, scores.size());
      lab.scheduler.remove(s);
    }
  }

  @Test
  void newWeights_choicesWaitForOneOfThemAgain() {
    List<Sequence> choices = lab.add(SchedulerLab.request(lab.prompt(80), 3));
    lab.step();
    assertEquals(Set.copyOf(choices), Set.copyOf(lab.step()));
    lab.newWeights();
    assertEquals(List.of(choices.getFirst()), lab.step(), "the prompt is computed once");
    Map<Sequence, Integer> counts = lab.counts();
    assertEquals(3, counts.size());
    assertTrue(counts.getOrDefault(choices.get(1), 99) <= 4, "the others find its blocks");
  }

  @Test
  void newWeights_afterTheFirstChoiceHasEnded_anotherGoesAhead() {
    List<Sequence> choices = lab.add(SchedulerLab.request(lab.prompt(80), 3));
    lab.step();
    lab.step();
    lab.scheduler.remove(choices.getFirst());
    lab.newWeights();
    assertEquals(List.of(choices.get(1)), lab.step());
    assertEquals(2, lab.step().size());
  }

  @Test
  void newWeights_keptChoicesDoNotLead() {
    GenerationRequest request = SchedulerLab.request(lab.prompt(150), 3).withStaleKv(StaleKv.KEEP);
    List<Sequence> choices = lab.add(request);
    lab.step();
    assertEquals(1, running(choices), "the first is half through the prompt");
    lab.newWeights();
    assertTrue(choices.getFirst().mixesWeights());
    assertEquals(Set.of(choices.get(0), choices.get(1)), Set.copyOf(lab.step()));
    lab.step();
    assertFalse(lab.step().contains(choices.get(2)), "the second is at its prompt's end");
    Map<Sequence, Integer> counts = lab.counts();
    assertTrue(
        counts.getOrDefault(choices.get(2), 99) <= 4, "it takes what the second has computed");
  }

  @Test
  void stalledFirstChoice_isNotWaitedFor() {
    List<Sequence> choices = lab.add(SchedulerLab.request(lab.prompt(80), 3));
    lab.step();
    SchedulerLab.stall(choices.getFirst());
    lab.newWeights();
    assertEquals(List.of(choices.get(1)), lab.step());
    assertFalse(choices.getFirst().state() == Sequence.State.RUNNING);
  }

  /** Clients read at any time; a schedule must not take one for stalled once and once not. */
  @Test
  void client_isLookedAtOnceAStep() {
    Sequence s = lab.add(CHAT, 4);
    lab.step();
    SchedulerLab.stall(s);
    assertFalse(s.stalled());
    assertEquals(List.of(), lab.step());
    assertTrue(s.stalled());
  }

  private static Penalties penalties(Sequence s) {
    return Objects.requireNonNull(s.penalties());
  }

  @Test
  void penalties_countThePromptOnceForAllChoices() {
    SamplingParams params =
        SamplingParams.builder().n(3).maxTokens(9).repetitionPenalty(1.5f).build();
    List<Sequence> choices = lab.add(new GenerationRequest("p", new int[] {5, 6, 5}, params));
    Penalties first = penalties(choices.getFirst());
    assertEquals(2, first.prompt().count(5));
    for (Sequence s : choices) {
      assertSame(first.prompt(), penalties(s).prompt());
    }
    choices.getFirst().append(7);
    assertEquals(0, penalties(choices.getLast()).generated().count(7));
  }

  @Test
  void requestsOfAGroup_shareAPromptAsChoicesDo() {
    int[] prompt = lab.prompt(80);
    Sequence first = lab.add(SchedulerLab.request(prompt, 1).withGroup("g")).getFirst();
    Sequence second = lab.add(SchedulerLab.request(prompt, 1).withGroup("g")).getFirst();
    Sequence otherPrompt =
        lab.add(SchedulerLab.request(lab.prompt(8), 1).withGroup("g")).getFirst();
    assertEquals(Set.of(first, otherPrompt), Set.copyOf(lab.step()));
    assertTrue(lab.counts().getOrDefault(second, 99) <= 4);
  }

  @Test
  void keptKeysLostWhileCatchingUp_areTold() {
    SchedulerLab small = new SchedulerLab(30, 1, 20);
    Sequence s =
        small
            .add(
                SchedulerLab.request(small.prompt(50), 1).withPriority(5).withStaleKv(StaleKv.KEEP))
            .getFirst();
    for (int i = 0; i < 4; i++) {
      small.step();
    }
    assertEquals(51, s.numComputedTokens());
    Sequence large = small.add(CHAT, 110);
    for (int i = 0; i < 6; i++) {
      assertEquals(List.of(large), small.step());
    }
    small.scheduler.remove(large);
    assertEquals(List.of(s), small.step());
    int again = s.numComputedTokens();
    assertTrue(again < 51, "it is half through what it had");
    assertEquals(List.of(), s.brokenKv(), "so far by the same weights");
    small.newWeights();
    assertEquals(List.of(new EngineEvent.BrokenKv(51 - again, 1, 2)), s.brokenKv());
  }

  @Test
  void keptKeysLostToAnotherClass_areTold() {
    List<Sequence> rollouts = new ArrayList<>();
    for (int i = 0; i < 11; i++) {
      rollouts.addAll(
          lab.add(
              SchedulerLab.request(lab.prompt(8), 1)
                  .withServiceClass(ROLLOUT)
                  .withStaleKv(StaleKv.KEEP)));
    }
    lab.step();
    lab.newWeights();
    lab.step();
    Sequence chat = lab.add(CHAT, 4);
    lab.step();
    Sequence last = rollouts.getLast();
    assertEquals(Sequence.State.WAITING, last.state());
    lab.newWeights(); // while it waits: the token of the present weights is old now too
    lab.scheduler.remove(chat);
    lab.step();
    assertEquals(List.of(new EngineEvent.BrokenKv(9, 2, 2)), last.brokenKv());
    assertEquals(new EngineStats.BrokenKv(1, 9), lab.scheduler.brokenKv());
    assertEquals(List.of(), rollouts.getFirst().brokenKv());
  }
}
