package io.tercel.server.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** Who runs, who yields and who waits within a class: schedules, without an engine. */
class PriorityTest {
  private static final int FIRST = 0;
  private static final int LATER = 10;

  private final SchedulerLab lab = new SchedulerLab(16, 4, 32);
  private final Scheduler scheduler = lab.scheduler;
  private final BlockManager blocks = lab.blocks;

  private Sequence add(int priority, int length) {
    return lab.add(ServiceClass.CHAT, priority, length);
  }

  private List<Sequence> choices(int length, int n) {
    return lab.add(SchedulerLab.request(lab.prompt(length), n));
  }

  private List<Sequence> step() {
    return lab.step();
  }

  @Test
  void admission_goesByPriorityThenArrival() {
    Sequence late = add(LATER, 4);
    Sequence first = add(FIRST, 4);
    Sequence second = add(FIRST, 4);
    assertEquals(List.of(first, second, late), step());
  }

  @Test
  void allPlacesTaken_theFirstPriorityTakesTheYoungestOfTheLater() {
    List<Sequence> later = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      later.add(add(LATER, 4));
    }
    assertEquals(later, step());
    Sequence first = add(FIRST, 4);
    assertEquals(Set.of(first, later.get(0), later.get(1), later.get(2)), Set.copyOf(step()));
    assertEquals(1, scheduler.preemptions());
    scheduler.remove(first);
    assertEquals(later, step(), "it comes back to its place");
    assertTrue(blocks.recoveredTokens() > 0, "to its own blocks");
  }

  @Test
  void allBlocksTaken_theFirstPriorityTakesWhatItNeedsAndNoMore() {
    Sequence large = add(LATER, 30);
    Sequence small = add(LATER, 15);
    step();
    step();
    assertEquals(2, scheduler.numRunning());
    Sequence first = add(FIRST, 20);
    assertEquals(Set.of(first, large), Set.copyOf(step()));
    assertEquals(1, scheduler.numWaiting());
    scheduler.remove(large);
    assertTrue(step().contains(small));
  }

  /** Of 32 tokens 3 are set aside for the decodes that stay, none for the one that goes. */
  @Test
  void setBackDecode_leavesItsTokenToTheNewcomer() {
    for (int i = 0; i < 4; i++) {
      add(LATER, 4);
    }
    step();
    Sequence first = add(FIRST, 30);
    assertEquals(29, lab.counts().get(first));
  }

  /** Its chunk comes after the newcomer's, and has what that leaves of the step. */
  @Test
  void catchingUp_waitsForOneOfFirstPriorityThatIsAdmitted() {
    Sequence later = add(LATER, 40);
    assertEquals(List.of(later), step());
    Sequence first = add(FIRST, 20);
    assertEquals(List.of(first, later), step());
    assertEquals(20, first.numComputedTokens());
    assertEquals(40, later.numComputedTokens(), "the last 8 of its 40");
    Sequence another = add(LATER + 1, 40);
    Sequence third = add(FIRST, 20);
    step();
    assertEquals(20, third.numComputedTokens());
    assertTrue(another.numComputedTokens() < 32);
  }

  @Test
  void equals_neverYieldToOneWhoWaits() {
    for (int i = 0; i < 4; i++) {
      add(FIRST, 4);
    }
    step();
    add(FIRST, 4);
    for (int i = 0; i < 8; i++) {
      step();
    }
    assertEquals(0, scheduler.preemptions());
    assertEquals(1, scheduler.numWaiting());
  }

  /** Small ones behind a large one must not eat the room that it waits for. */
  @Test
  void largeOne_isNotOvertakenForEver() {
    add(FIRST, 20);
    step();
    Sequence large = add(FIRST, 50);
    for (int i = 0; i < 8; i++) {
      add(FIRST, 1);
      add(LATER, 1);
      assertTrue(step().size() == 1, "nobody passes the one who waits");
    }
    scheduler.remove(scheduler.all().getFirst());
    assertTrue(step().contains(large));
  }

  @Test
  void needsABlock_theLaterPriorityGoesFirst() {
    Sequence later = add(LATER, 12);
    step();
    Sequence first = add(FIRST, 40);
    step();
    while (scheduler.preemptions() == 0) {
      step();
    }
    assertEquals(Sequence.State.WAITING, later.state());
    assertEquals(Sequence.State.RUNNING, first.state());
  }

  @Test
  void longPrompt_leavesDecodesTheirTokens() {
    Sequence later = add(LATER, 4);
    step();
    Sequence first = add(FIRST, 50);
    for (int i = 0; i < 2; i++) {
      assertEquals(Set.of(first, later), Set.copyOf(step()));
    }
    assertEquals(50, first.numPromptTokens());
    assertEquals(1, first.numGeneratedTokens());
  }

  @Test
  void choices_waitForTheFirstAndShareItsBlocks() {
    List<Sequence> choices = choices(39, 3);
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
  void choices_doNotWaitForOneThatIsGone_theNextGoesAhead() {
    List<Sequence> choices = choices(20, 3);
    scheduler.remove(choices.getFirst());
    assertEquals(choices.subList(1, 2), step());
    assertEquals(choices.subList(1, 3), step());
  }
}
