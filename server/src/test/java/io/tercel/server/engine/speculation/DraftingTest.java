package io.tercel.server.engine.speculation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** When drafts are made, and when no longer: before known times of steps, without a model. */
class DraftingTest {
  private final Speculator speculator = new Speculator(Speculation.of(Speculation.Method.NGRAM));
  private final Random random = new Random(1);
  private final int[] tokens = new int[6000];
  private int length;

  /** A step of one row takes 10, each row more 1. */
  @BeforeEach
  void learnCosts() {
    for (int i = 0; i < 300; i++) {
      int rows = 1 + random.nextInt(8);
      speculator.stepTook(rows, 9_000 + 1_000 * rows);
    }
  }

  /** Says tokens one by one; how many of the last ones' drafts were worth verifying. */
  private int say(Drafting drafting, int count, int sampled, java.util.function.IntSupplier next) {
    int worth = 0;
    for (int i = 0; i < count; i++) {
      tokens[length++] = next.getAsInt();
      speculator.beginStep(sampled, sampled);
      int drafted = drafting.draft(tokens, length, 7);
      worth += i >= count - 100 ? drafted : 0;
    }
    return worth;
  }

  @Test
  void comesTrue_isDraftedWhole() {
    int worth = say(speculator.drafting(0), 400, 1, () -> length % 7);
    assertTrue(worth > 600, "drafted in 100 steps: " + worth);
  }

  /** Pairs come again all the time, and what follows them is what followed once in forty times. */
  @Test
  void neverComesTrue_isNoLongerDrafted_andIsAgainWhenItDoes() {
    Drafting drafting = speculator.drafting(0);
    int wild = say(drafting, 4000, 1, () -> random.nextInt(40));
    assertTrue(wild < 10, "drafted in 100 steps: " + wild);
    int tame = say(drafting, 400, 1, () -> length % 7 + 100);
    assertTrue(tame > 600, "drafted in 100 steps: " + tame);
  }

  /** One sequence's failures are not the others'. */
  @Test
  void wildOne_doesNotEndTheTameOnes() {
    int[] tame = new int[900];
    Drafting wild = speculator.drafting(0);
    Drafting steady = speculator.drafting(0);
    int worth = 0;
    for (int i = 0; i < 900; i++) {
      say(wild, 1, 1, () -> random.nextInt(40));
      tame[i] = i % 7;
      speculator.beginStep(1, 1);
      int drafted = steady.draft(tame, i + 1, 7);
      worth += i >= 800 ? drafted : 0;
    }
    assertTrue(worth > 500, "drafted in 100 steps: " + worth);
  }

  /** Two of three come true: alone that pays, among thirty it doesn't. */
  @Test
  void manyWait_onlyTheCertainPays() {
    Speculator other = speculator;
    Drafting alone = other.drafting(0);
    java.util.function.IntSupplier often =
        () -> random.nextInt(3) == 0 ? random.nextInt(1000) : length % 5 + 2000;
    int worthAlone = say(alone, 1000, 1, often);
    length = 0;
    int worthAmong = say(other.drafting(0), 1000, 30, often);
    assertTrue(worthAlone > 50, "alone: " + worthAlone);
    assertTrue(worthAmong < worthAlone / 4, "among thirty: " + worthAmong);
  }

  @Test
  void cost_isTheLineThroughTheSteps() {
    StepCost cost = new StepCost();
    for (int i = 0; i < 400; i++) {
      int rows = 1 + random.nextInt(8);
      cost.took(rows, i == 396 ? 5_000_000 : 50_000 + 3_000 * rows + random.nextInt(2000));
      cost.took(500, 9_000_000); // a prompt's
    }
    assertEquals(3_000, cost.perRow(), 600);
    assertEquals(51_000, cost.base(), 4_000);
  }

  @Test
  void cost_withoutKnowledge_isASharePerRow() {
    StepCost cost = new StepCost();
    for (int i = 0; i < 50; i++) {
      cost.took(1, 80_000);
    }
    assertEquals(80_000 * StepCost.PRIOR_SHARE, cost.perRow(), 1);
    assertEquals(80_000, cost.base() + cost.perRow(), 1);
  }

  @Test
  void gain_isWhatMakesMostTokensATime() {
    StepCost cost = new StepCost();
    for (int i = 0; i < 300; i++) {
      int rows = 1 + random.nextInt(8);
      cost.took(rows, 9_000 + 1_000 * rows);
    }
    StepGain gain = new StepGain(cost);
    for (int round = 0; round < 200; round++) {
      double[] chances = new double[7];
      double chance = 1;
      for (int i = 0; i < 7; i++) {
        chance *= 0.3 + 0.69 * random.nextDouble();
        chances[i] = chance;
      }
      int sampled = 1 + random.nextInt(20);
      gain.begin(sampled, sampled);
      int worth = gain.worth(chances, 7);
      double[] rates = new double[8];
      double sum = sampled;
      for (int i = 0; i <= 7; i++) {
        rates[i] = sum / (9 + sampled + i);
        sum += i < 7 ? chances[i] : 0;
      }
      for (int i = 0; i <= 7; i++) { // within the margin
        assertTrue(rates[worth] > rates[i] * 0.97, "draft of " + worth + ", better " + i);
      }
    }
  }
}
