package io.tercel.kernels.ops;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.scalar.ScalarOps;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Draws against distributions worked out naively, in double precision. */
class SamplerTest {
  private static final int DRAWS = 20_000;

  /** A row of plain sampling, to be changed field by field. */
  private static final class Row {
    int target = -1;
    float temperature = 1;
    float topP = 1;
    int topK;
    float minP;
    long seed = 11;
    int choice;
    int position;
    @Nullable Penalties penalties;
    @Nullable Map<Integer, Float> bias;
    @Nullable Set<Integer> forbidden;
    long @Nullable [] allowed;
    int numLogprobs;
    boolean processed;

    SamplingRow build() {
      if (target >= 0) {
        return processed
            ? SamplingRow.force(0, target, numLogprobs, true)
            : SamplingRow.score(0, target, numLogprobs);
      }
      return SamplingRow.sample(0)
          .temperature(temperature)
          .topP(topP)
          .topK(topK)
          .minP(minP)
          .seed(seed)
          .choice(choice)
          .position(position)
          .penalties(penalties)
          .logitBias(bias)
          .forbidden(forbidden)
          .allowed(allowed)
          .numLogprobs(numLogprobs)
          .processed(processed)
          .build();
    }
  }

  private static TokenResult sample(float[] logits, Row row) {
    return new Sampler(new ScalarOps(), logits.length).sample(logits, 0, row.build());
  }

  private static float[] logits(int vocab, long seed) {
    Random random = new Random(seed);
    float[] logits = new float[vocab];
    for (int i = 0; i < vocab; i++) {
      logits[i] = (float) (2.5 * random.nextGaussian());
    }
    return logits;
  }

  /** Temperature, then min_p, then top_k, then top_p of what is left: by sorting everything. */
  private static double[] distribution(float[] logits, Row row) {
    int n = logits.length;
    List<Integer> order = new ArrayList<>(IntStream.range(0, n).boxed().toList());
    order.sort((a, b) -> Float.compare(logits[b], logits[a])); // stable: ties to the lower id
    double max = logits[order.getFirst()];
    double[] p = new double[n];
    for (int i = 0; i < n; i++) {
      p[i] = Math.exp((logits[i] - max) / row.temperature);
    }
    order.removeIf(i -> p[i] < row.minP || p[i] == 0);
    if (row.topK > 0 && order.size() > row.topK) {
      order = order.subList(0, row.topK);
    }
    double mass = order.stream().mapToDouble(i -> p[i]).sum();
    double sum = 0;
    int kept = 0;
    while (kept < order.size() && (kept == 0 || sum < row.topP * mass - 1e-9)) {
      sum += p[order.get(kept++)];
    }
    double[] result = new double[n];
    for (int i : order.subList(0, kept)) {
      result[i] = p[i] / sum;
    }
    return result;
  }

  private static void checkDraws(float[] logits, Row row, double[] expected) {
    Sampler sampler = new Sampler(new ScalarOps(), logits.length);
    int[] counts = new int[logits.length];
    for (int i = 0; i < DRAWS; i++) {
      row.position = i;
      counts[sampler.sample(logits, 0, row.build()).tokenId()]++;
    }
    double chiSquare = 0;
    int cells = 0;
    double restExpected = 0;
    int restCount = 0;
    for (int i = 0; i < counts.length; i++) {
      double e = expected[i] * DRAWS;
      assertTrue(e > 0 || counts[i] == 0, "id " + i + " is outside the support");
      assertTrue(e < 40 || counts[i] > 0, "id " + i + " never came");
      if (e < 8) {
        restExpected += e;
        restCount += counts[i];
      } else {
        chiSquare += (counts[i] - e) * (counts[i] - e) / e;
        cells++;
      }
    }
    if (restExpected >= 8) {
      chiSquare += (restCount - restExpected) * (restCount - restExpected) / restExpected;
      cells++;
    }
    // mean cells - 1, variance twice that: five deviations, as the seeds are fixed
    double bound = cells + 5 * Math.sqrt(2.0 * cells);
    assertTrue(chiSquare < bound, "chi square " + chiSquare + " of " + cells + " cells");
  }

  @ParameterizedTest
  @CsvSource({
    "1,1,0,0", "0.6,0.95,20,0", "0.6,0.95,0,0", "1,0.5,0,0", "1.5,1,5,0", "1,1,0,0.05",
    "0.7,0.9,0,0.02", "0.7,0.9,7,0.02", "1,1,1,0", "2,0.999,0,0", "1,1,1000,0", "1,1,0,1",
    "0.05,1,0,0", "1,0.3,3,0.5"
  })
  void draws_followTheDistribution(float temperature, float topP, int topK, float minP) {
    for (int vocab : new int[] {7, 40, 1500}) {
      Row row = new Row();
      row.temperature = temperature;
      row.topP = topP;
      row.topK = topK;
      row.minP = minP;
      row.seed = vocab;
      float[] logits = logits(vocab, vocab);
      logits[vocab / 2] = Float.NEGATIVE_INFINITY;
      logits[1] = logits[0]; // a tie
      checkDraws(logits, row, distribution(logits, row));
    }
  }

  /** Many ids, all with a tiny share: the head has to be searched far down. */
  @Test
  void draws_flatDistribution_topPReachesIntoTheTail() {
    Row row = new Row();
    row.topP = 0.5f;
    float[] logits = new float[3000];
    logits[2999] = 7.5f; // the others have 5.5e-4 of it each, below the first threshold
    double[] expected = distribution(logits, row);
    assertTrue(Arrays.stream(expected).filter(p -> p > 0).count() > 500);
    Sampler sampler = new Sampler(new ScalarOps(), 3000);
    int most = 0;
    int best = 0;
    for (int i = 0; i < DRAWS; i++) {
      row.position = i;
      int id = sampler.sample(logits, 0, row.build()).tokenId();
      assertTrue(expected[id] > 0, "id " + id + " is outside the nucleus");
      most = id == 2999 ? most : Math.max(most, id);
      best += id == 2999 ? 1 : 0;
    }
    assertTrue(most > 500, "the nucleus' end never came: " + most);
    assertEquals(expected[2999], best / (double) DRAWS, 0.02);
  }

  /** Chunk by chunk and id by id, with everything sorted: to the bit, however it is done faster. */
  @ParameterizedTest
  @CsvSource({
    "1,1,0,0",
    "0.6,0.95,0,0",
    "0.6,0.95,20,0",
    "2,0.99,0,0",
    "2,0.99,3000,0",
    "1,0.9,0,0.01",
    "0.3,0.95,20,0.02",
    "1,0.95,0,0"
  })
  void draws_ofALargeVocabulary_areTheDefinitions(
      float temperature, float topP, int topK, float minP) {
    for (float width : new float[] {0.3f, 1, 3}) {
      float[] logits = logits(9 * 1024 + 517, 5);
      for (int i = 0; i < logits.length; i++) {
        logits[i] *= width;
      }
      logits[4000] = logits[7000];
      logits[9000] = Float.NEGATIVE_INFINITY;
      Row row = new Row();
      row.temperature = temperature;
      row.topP = topP;
      row.topK = topK;
      row.minP = minP;
      Sampler sampler = new Sampler(new ScalarOps(), logits.length);
      for (int i = 0; i < 300; i++) {
        row.position = i;
        double u = Noise.uniform(row.seed, 0, i);
        assertEquals(defined(logits, row, u), sampler.sample(logits, 0, row.build()).tokenId());
      }
    }
  }

  private static int defined(float[] logits, Row row, double u) {
    int n = logits.length;
    float max = logits[new ScalarOps().argMax(logits, 0, n)];
    float[] weights = new float[n];
    double total = 0;
    for (int chunk = 0; chunk < n; chunk += 1024) {
      double sum = 0;
      for (int i = chunk; i < Math.min(n, chunk + 1024); i++) {
        weights[i] = Exp.exp((logits[i] - max) / row.temperature);
        sum += weights[i];
      }
      total += sum;
    }
    List<Integer> ids = new ArrayList<>(IntStream.range(0, n).boxed().toList());
    if (row.topK == 0 && row.topP == 1 && row.minP == 0) {
      return drawn(ids, weights, u * total, true);
    }
    ids.removeIf(i -> weights[i] == 0 || weights[i] < row.minP);
    ids.sort((a, b) -> Float.compare(logits[b], logits[a]));
    if (row.topK > 0 && row.topK < ids.size()) {
      ids = ids.subList(0, row.topK);
    }
    boolean ofWhole = row.topK == 0 && row.minP == 0;
    double mass = row.topP * (ofWhole ? total : sum(ids, weights));
    int kept = 0;
    for (double sum = 0; kept < ids.size() && sum < mass; kept++) {
      sum += weights[ids.get(kept)];
    }
    List<Integer> nucleus = ids.subList(0, kept);
    return drawn(nucleus, weights, u * sum(nucleus, weights), false);
  }

  private static double sum(List<Integer> ids, float[] weights) {
    double sum = 0;
    for (int id : ids) {
      sum += weights[id];
    }
    return sum;
  }

  /** In chunks: whole chunks of 1024 are stepped over by their sums. */
  private static int drawn(List<Integer> ids, float[] weights, double target, boolean chunks) {
    double before = 0;
    for (int i = 0; i < ids.size(); i++) {
      if (chunks && i % 1024 == 0) {
        double sum = sum(ids.subList(i, Math.min(ids.size(), i + 1024)), weights);
        if (before + sum <= target) {
          before += sum;
          i += 1023;
          continue;
        }
      }
      before += weights[ids.get(i)];
      if (before > target) {
        return ids.get(i);
      }
    }
    return ids.getLast();
  }

  @ParameterizedTest
  @ValueSource(floats = {1e-9f, 1e-6f, 0.01f})
  void topP_tiny_picksTheBest(float topP) {
    Row row = new Row();
    row.topP = topP;
    row.temperature = 5;
    float[] logits = logits(100, 3);
    for (int i = 0; i < 200; i++) {
      row.position = i;
      assertEquals(new ScalarOps().argMax(logits, 0, 100), sample(logits, row).tokenId());
    }
  }

  @Test
  void greedy_tiesGoToTheLowerId() {
    Row row = new Row();
    row.temperature = 0;
    assertEquals(1, sample(new float[] {1, 3, 3, 2, 3}, row).tokenId());
    assertEquals(0, sample(new float[] {0f, -0f, 0f}, row).tokenId());
    row.topK = 1;
    row.temperature = 1;
    assertEquals(1, sample(new float[] {1, 3, 3, 2, 3}, row).tokenId());
    assertEquals(0, sample(new float[] {-0f, 0f, -1f}, row).tokenId(), "-0 equals 0");
  }

  @Test
  void tinyTemperature_isGreedy() {
    Row row = new Row();
    row.temperature = 1e-30f;
    assertEquals(2, sample(new float[] {1, 2, 2.0001f, -5}, row).tokenId());
    row.topP = 0.9f;
    row.topK = 3;
    assertEquals(2, sample(new float[] {1, 2, 2.0001f, -5}, row).tokenId());
  }

  @Test
  void minusInfinity_isNeverDrawn_andIsNoTrouble() {
    float no = Float.NEGATIVE_INFINITY;
    for (float temperature : new float[] {0, 0.5f, 1}) {
      for (float topP : new float[] {0.9f, 1}) {
        Row row = new Row();
        row.temperature = temperature;
        row.topP = topP;
        row.numLogprobs = 3;
        TokenResult result = sample(new float[] {no, no, -3, no}, row);
        assertEquals(2, result.tokenId());
        assertEquals(0f, result.logprob());
        assertEquals(1, result.rank());
        assertEquals(no, result.top().getLast().logprob());
      }
    }
    Row scored = new Row();
    scored.target = 0;
    assertEquals(no, sample(new float[] {no, 1, 2}, scored).logprob());
  }

  @Test
  void penalties_changeTheChoice_butNotTheLogprobs() {
    TokenCounts generated = new TokenCounts();
    IntStream.of(1, 1, 1, 2).forEach(generated::add);
    TokenCounts prompt = new TokenCounts();
    IntStream.of(1, 4).forEach(prompt::add);
    float[] logits = {0.5f, 3, 2, -1, -0.5f};
    // presence once, frequency by count, for generated ids only
    Row row = new Row();
    row.penalties = new Penalties(0.5f, 0.75f, 1, generated, prompt);
    checkDraws(
        logits, row, distribution(new float[] {0.5f, 3 - 2.75f, 2 - 1.25f, -1, -0.5f}, new Row()));
    // repetition once for each id of prompt or text: divides the positive, multiplies the negative
    row.penalties = new Penalties(0, 0, 2, generated, prompt);
    checkDraws(logits, row, distribution(new float[] {0.5f, 1.5f, 1, -1, -1}, new Row()));
    row.penalties = new Penalties(0.5f, 0.75f, 2, generated, prompt);
    float[] both = {0.5f, 1.5f - 2.75f, 1 - 1.25f, -1, -1};
    checkDraws(logits, row, distribution(both, new Row()));

    row.temperature = 0;
    row.numLogprobs = 5;
    TokenResult result = sample(logits, row);
    assertEquals(0, result.tokenId());
    assertRaw(logits, result);
    assertEquals(3, result.rank(), "among the raw logits");
  }

  @Test
  void bias_andForbidden_changeTheChoice_butNotTheLogprobs() {
    float[] logits = {1, 2, 3, 4};
    Row row = new Row();
    row.bias = Map.of(0, 2.5f, 3, -100f);
    checkDraws(logits, row, distribution(new float[] {3.5f, 2, 3, -96}, new Row()));
    row.forbidden = Set.of(0, 2);
    row.numLogprobs = 4;
    TokenResult result = sample(logits, row);
    assertEquals(1, result.tokenId());
    assertRaw(logits, result);
    row.temperature = 0;
    assertEquals(1, sample(logits, row).tokenId());
    row.bias = null;
    row.forbidden = Set.of(3);
    assertEquals(2, sample(logits, row).tokenId());
  }

  private static void assertRaw(float[] logits, TokenResult result) {
    double sum = 0;
    for (float logit : logits) {
      sum += Math.exp(logit);
    }
    assertEquals(logits[result.tokenId()] - Math.log(sum), result.logprob(), 1e-6);
    float last = Float.POSITIVE_INFINITY;
    for (TokenResult.TokenLogprob top : result.top()) {
      assertEquals(logits[top.tokenId()] - Math.log(sum), top.logprob(), 1e-6);
      assertTrue(top.logprob() <= last);
      last = top.logprob();
    }
  }

  @Test
  void logits_areNotChanged_andTheirOffsetIsHeeded() {
    float[] small = logits(33, 5);
    float[] padded = new float[100];
    Arrays.fill(padded, 50);
    System.arraycopy(small, 0, padded, 40, 33);
    float[] before = padded.clone();
    Sampler sampler = new Sampler(new ScalarOps(), 33);
    for (int i = 0; i < 200; i++) {
      Row row = new Row();
      row.position = i;
      row.temperature = i % 4 == 0 ? 0 : 0.8f;
      row.topP = i % 3 == 0 ? 0.9f : 1;
      row.bias = i % 5 == 0 ? Map.of(3, 4f) : null;
      row.forbidden = i % 7 == 0 ? Set.of(4) : null;
      row.numLogprobs = 5;
      assertEquals(sample(small, row), sampler.sample(padded, 40, row.build()));
    }
    assertTrue(Arrays.equals(before, padded));
  }

  @Test
  void rank_countsTiesInFavour_andTopIsSorted() {
    float[] logits = {1, 5, 5, 7, 0, 5};
    Row row = new Row();
    for (int[] idAndRank : new int[][] {{3, 1}, {1, 2}, {2, 2}, {5, 2}, {0, 5}, {4, 6}}) {
      row.target = idAndRank[0];
      TokenResult result = sample(logits, row);
      assertEquals(idAndRank[0], result.tokenId());
      assertEquals(idAndRank[1], result.rank());
      assertEquals(List.of(), result.top());
    }
    row.numLogprobs = 4;
    List<Integer> top =
        sample(logits, row).top().stream().map(TokenResult.TokenLogprob::tokenId).toList();
    assertEquals(List.of(3, 1, 2, 5), top);
    row.numLogprobs = 50;
    assertEquals(6, sample(logits, row).top().size());
  }

  /** Nor on what the sampler did before, nor on who else asks. */
  @Test
  void draw_dependsOnSeedChoiceAndPositionOnly() {
    float[] logits = logits(500, 8);
    Sampler used = new Sampler(new ScalarOps(), 500);
    Random random = new Random(1);
    for (int i = 0; i < 300; i++) {
      Row row = new Row();
      row.seed = random.nextLong();
      row.choice = random.nextInt(4);
      row.position = random.nextInt(1000);
      row.topP = i % 2 == 0 ? 1 : 0.9f;
      TokenResult first = sample(logits, row);
      used.sample(logits(500, i), 0, new Row().build());
      assertEquals(first, used.sample(logits, 0, row.build()));
    }
  }

  @Test
  void draw_dependsOnEachOfSeedChoiceAndPosition() {
    float[] flat = new float[1000];
    Set<Integer> seeds = new TreeSet<>();
    Set<Integer> choices = new TreeSet<>();
    Set<Integer> positions = new TreeSet<>();
    for (int i = 0; i < 200; i++) {
      Row row = new Row();
      row.seed = i;
      seeds.add(sample(flat, row).tokenId());
      row.seed = 11;
      row.choice = i;
      choices.add(sample(flat, row).tokenId());
      row.choice = 0;
      row.position = i;
      positions.add(sample(flat, row).tokenId());
    }
    // 200 draws out of 1000 hit 181 on average
    assertTrue(seeds.size() > 160, "seeds: " + seeds.size());
    assertTrue(choices.size() > 160, "choices: " + choices.size());
    assertTrue(positions.size() > 160, "positions: " + positions.size());
    assertNotEquals(seeds, choices);
  }

  @Test
  void noise_isUniform_andUncorrelated() {
    int n = 100_000;
    double sum = 0;
    double product = 0;
    double last = 0.5;
    for (int i = 0; i < n; i++) {
      double u = Noise.uniform(5, 2, i);
      assertTrue(u >= 0 && u < 1);
      sum += u;
      product += (u - 0.5) * (last - 0.5);
      last = u;
    }
    assertEquals(0.5, sum / n, 5 * Math.sqrt(1 / 12.0 / n));
    assertEquals(0, product / n, 5 / 12.0 / Math.sqrt(n));
  }

  /** Only the allowed are drawn, whatever bias says; among them the shares are the model's. */
  @Test
  void allowed_winsOverAllElse() {
    int vocab = 130;
    float[] logits = logits(vocab, 5);
    logits[7] = 50;
    logits[65] = Float.NEGATIVE_INFINITY;
    Row row = new Row();
    row.allowed = new long[] {1L << 3 | 1L << 9, 1L << 1};
    row.bias = Map.of(7, 100f, 129, 100f);
    row.temperature = 0;
    assertEquals(logits[3] >= logits[9] ? 3 : 9, sample(logits, row).tokenId());
    row.temperature = 1;
    int[] drawn = new int[vocab];
    for (row.position = 0; row.position < 20_000; row.position++) {
      drawn[sample(logits, row).tokenId()]++;
    }
    double share = 1 / (1 + Math.exp(logits[9] - logits[3]));
    assertEquals(share, drawn[3] / 20_000.0, 0.02);
    assertEquals(20_000, drawn[3] + drawn[9]);
    row.allowed = new long[] {0, 1L << 1}; // the model thinks it impossible; it is all there is
    assertEquals(65, sample(logits, row).tokenId());
    row.temperature = 0;
    assertEquals(65, sample(logits, row).tokenId());
  }

  /** Each draw, and the list beside it, against the distribution worked out by sorting all. */
  @ParameterizedTest
  @CsvSource({
    "1, 1, 0, 0",
    "0.6, 1, 0, 0",
    "1.7, 1, 0, 0",
    "0.8, 0.9, 0, 0",
    "1, 1, 7, 0",
    "1, 1, 0, 0.1",
    "0.6, 0.95, 20, 0.02",
  })
  void processed_logprobs_areThoseOfWhatWasDrawnFrom(
      float temperature, float topP, int topK, float minP) {
    float[] logits = logits(1500, 21);
    Row row = new Row();
    row.temperature = temperature;
    row.topP = topP;
    row.topK = topK;
    row.minP = minP;
    row.processed = true;
    row.numLogprobs = 12;
    double[] expected = distribution(logits, row);
    int support = (int) Arrays.stream(expected).filter(p -> p > 0).count();
    Sampler sampler = new Sampler(new ScalarOps(), logits.length);
    for (row.position = 0; row.position < 50; row.position++) {
      TokenResult result = sampler.sample(logits, 0, row.build());
      assertEquals(Math.log(expected[result.tokenId()]), result.logprob(), 1e-4);
      assertEquals(Math.min(12, support), result.top().size());
      float last = 0;
      for (TokenResult.TokenLogprob top : result.top()) {
        assertEquals(Math.log(expected[top.tokenId()]), top.logprob(), 1e-4);
        assertTrue(top.logprob() <= last);
        last = top.logprob();
      }
    }
  }

  @Test
  void processed_greedy_isBehindPenaltiesAndMasks_atTemperature1() {
    float[] logits = {1, 2, 3, 4};
    Row row = new Row();
    row.processed = true;
    row.temperature = 0;
    row.numLogprobs = 4;
    row.bias = Map.of(0, 2.5f);
    row.forbidden = Set.of(3);
    TokenResult result = sample(logits, row);
    double sum = Math.exp(3.5) + Math.exp(2) + Math.exp(3);
    assertEquals(0, result.tokenId());
    assertEquals(3.5 - Math.log(sum), result.logprob(), 1e-6);
    assertEquals(1, result.rank());
    assertEquals(
        List.of(0, 2, 1), result.top().stream().map(TokenResult.TokenLogprob::tokenId).toList());
  }

  @Test
  void processed_ofTheOnlyTokenThatMayCome_isCertain() {
    float[] logits = logits(130, 5);
    logits[65] = Float.NEGATIVE_INFINITY;
    Row row = new Row();
    row.processed = true;
    row.numLogprobs = 3;
    row.allowed = new long[] {0, 1L << 1};
    assertTrue(row.build().isForced());
    for (float temperature : new float[] {0, 0.7f}) {
      row.temperature = temperature;
      assertEquals(0, sample(logits, row).logprob());
      assertEquals(1, sample(logits, row).top().size());
    }
    row.allowed = new long[] {1L << 9, 1L << 1};
    assertTrue(!row.build().isForced(), "two may come");
    row.allowed = null;
    row.target = 7;
    assertTrue(row.build().isForced());
    assertEquals(0, sample(logits, row).logprob());
    assertEquals(List.of(new TokenResult.TokenLogprob(7, 0)), sample(logits, row).top());
  }
}
