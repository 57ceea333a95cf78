package io.tercel.kernels.tornado;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.ops.Sampler;
import io.tercel.kernels.ops.SamplingRow;
import io.tercel.kernels.ops.TokenResult;
import io.tercel.kernels.scalar.ScalarOps;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * The sampling kernels in plain Java, over a vocabulary of several chunks, choose what the host's
 * sampler chooses.
 */
class SamplingSimulatorTest {
  /** Two chunks and a part of a third. */
  private static final int VOCAB = 2500;

  private static final int STRIDE = VOCAB + 12;
  private static final FloatArray POWERS = Powers.table();

  /** A row's logits and what is asked of them. */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  private record Case(float[] logits, SamplingRow row) {}

  @Test
  void draws_equalTheHosts() {
    List<Case> cases = new ArrayList<>();
    Random random = new Random(4);
    int position = 0;
    for (float temperature : new float[] {0.3f, 1, 1.7f}) {
      float scale = 3 * Math.max(1, temperature); // else more are likely than are sorted here
      for (float topP : new float[] {1, 0.95f, 0.4f}) {
        for (int topK : new int[] {0, 1, 40}) {
          cases.add(new Case(normal(random, scale), draw(position++, temperature, topP, topK, 0)));
        }
      }
      cases.add(new Case(normal(random, scale), draw(position++, temperature, 0.9f, 0, 0.02f)));
      cases.add(new Case(normal(random, scale), draw(position++, temperature, 1, 30, 0.1f)));
    }
    cases.add(new Case(normal(random, 3), draw(position, 0, 1, 0, 0)));
    Set<Integer> chunks = new HashSet<>();
    for (TokenResult result : check(cases)) {
      chunks.add(result.tokenId() / SamplingKernels.CHUNK);
    }
    assertEquals(3, chunks.size(), "chunks that something was drawn from");
  }

  @Test
  void plainDraws_fromFlatLogits_passEveryChunk() {
    List<Case> cases = new ArrayList<>();
    for (int i = 0; i < 24; i++) {
      cases.add(new Case(normal(new Random(i), 0.1f), draw(i, 1, 1, 0, 0)));
    }
    check(cases);
  }

  @Test
  void ranks_areCountedOverAllChunks() {
    List<Case> cases = new ArrayList<>();
    Random random = new Random(5);
    for (int target : new int[] {0, 1023, 1024, 2047, 2048, VOCAB - 1}) {
      cases.add(new Case(normal(random, 2), SamplingRow.score(0, target, 0)));
    }
    float[] equal = new float[VOCAB];
    cases.add(new Case(equal, SamplingRow.score(0, 2100, 0)));
    check(cases);
  }

  @Test
  void largest_isTheFirstOfEquals_andOfNaNs() {
    float[] equals = normal(new Random(6), 1);
    equals[1500] = equals[2400] = 9;
    float[] nans = equals.clone();
    nans[2300] = nans[1100] = Float.NaN;
    float[] least = new float[VOCAB];
    Arrays.fill(least, Float.NEGATIVE_INFINITY);
    least[2222] = -5;
    SamplingBuffers s = run(List.of(equals, nans, least).stream().map(this::greedy).toList());
    assertEquals(1500, s.tokens.get(3));
    assertEquals(1100, s.tokens.get(4 + 3));
    assertEquals(2222, s.tokens.get(8 + 3));
  }

  /** More candidates than are sorted here are left to the host. */
  @Test
  void tooManyCandidates_areTheHosts() {
    float[] flat = normal(new Random(7), 0.1f);
    SamplingBuffers s =
        run(List.of(new Case(flat, draw(0, 1, 0.9f, 0, 0)), new Case(flat, draw(0, 1, 1, 0, 0))));
    assertEquals(1, s.tokens.get(1));
    assertEquals(0, s.tokens.get(4 + 1));
  }

  private Case greedy(float[] logits) {
    return new Case(logits, draw(0, 0, 1, 0, 0));
  }

  private static float[] normal(Random random, float scale) {
    float[] logits = new float[VOCAB];
    for (int i = 0; i < VOCAB; i++) {
      logits[i] = scale * (float) random.nextGaussian();
    }
    return logits;
  }

  private static SamplingRow draw(
      int position, float temperature, float topP, int topK, float minP) {
    return SamplingRow.sample(0)
        .temperature(temperature)
        .topP(topP)
        .topK(topK)
        .minP(minP)
        .seed(11)
        .position(position)
        .build();
  }

  private static List<TokenResult> check(List<Case> cases) {
    SamplingBuffers s = run(cases);
    Sampler sampler = new Sampler(new ScalarOps(), VOCAB);
    List<TokenResult> results = new ArrayList<>();
    for (int i = 0; i < cases.size(); i++) {
      SamplingRow row = cases.get(i).row;
      TokenResult expected = sampler.sample(cases.get(i).logits, 0, row);
      double logSum = StrictMath.log(s.totals.get(i)) + s.values.get(2 * i + 1);
      TokenResult actual =
          new TokenResult(
              s.tokens.get(4 * i),
              (float) (s.values.get(2 * i) - logSum),
              row.samples() ? 0 : s.tokens.get(4 * i + 2),
              List.of());
      assertEquals(0, s.tokens.get(4 * i + 1), i + ": " + row);
      assertEquals(expected, actual, i + ": " + row);
      results.add(actual);
    }
    assertTrue(results.stream().mapToInt(TokenResult::tokenId).distinct().count() > 3);
    return results;
  }

  private static SamplingBuffers run(List<Case> cases) {
    int n = cases.size();
    SamplingBuffers s = new SamplingBuffers(n, VOCAB);
    FloatArray logits = new FloatArray(n * STRIDE);
    logits.init(Float.NaN);
    s.clear();
    for (int i = 0; i < n; i++) {
      for (int k = 0; k < VOCAB; k++) {
        logits.set(i * STRIDE + k, cases.get(i).logits[k]);
      }
      s.add(cases.get(i).row, i);
    }
    int chunks = SamplingBuffers.chunks(VOCAB);
    int local = SamplingKernels.LOCAL;
    Simulator.run(
        chunks,
        n,
        local,
        c -> SamplingKernels.argMax(c, s.wants, s.asks, logits, s.found, VOCAB, STRIDE, chunks));
    Simulator.run(
        chunks,
        n,
        local,
        c ->
            SamplingKernels.sums(
                c, s.wants, POWERS, logits, s.found, s.knobs, s.tokens, s.chunks, VOCAB, STRIDE,
                chunks));
    Simulator.run(
        1,
        n,
        local,
        c ->
            DrawKernels.pick(
                c, s.wants, POWERS, logits, s.found, s.chunks, s.asks, s.knobs, s.draws, s.tokens,
                s.values, s.totals, VOCAB, STRIDE, chunks));
    return s;
  }
}
