package io.tercel.server.engine;

import io.tercel.kernels.ops.TokenResult;
import io.tercel.server.grammar.Form;
import io.tercel.server.grammar.TokenAutomaton;
import io.tercel.server.grammar.TokenTrie;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;

/**
 * Seeded random requests that use all that a draw may depend on, with texts that repeat themselves
 * enough to be guessed in part; and what an engine answers them. Ids 0 to 127 are ASCII, {@link
 * #END} ends.
 */
final class DraftTraffic {
  static final int END = 128;
  private static final int VOCAB = 131;
  private static final int OPEN = 1;
  private static final int CLOSE = 2;
  private static final TokenAutomaton[] FORMS = {
    form("(a|bb|ccc){1,30}!"), form("x+(-abc[0-9]{2}-def){2,9}"), form("[a-d]{3,40}")
  };

  /** What a choice was told; scores and log-probs to the last bit. */
  record Told(List<String> tokens, String end) {}

  private DraftTraffic() {}

  private static TokenAutomaton form(String regex) {
    byte[][] texts = new byte[VOCAB][];
    Arrays.setAll(texts, id -> id < END ? new byte[] {(byte) id} : new byte[0]);
    return new TokenAutomaton(
        new Form.Pattern(regex, "r").compile(),
        new TokenTrie(VOCAB, id -> texts[id]),
        texts,
        Set.of(END),
        "r");
  }

  /**
   * Makes requests.
   *
   * @param vocab ids of prompts are below
   */
  static List<GenerationRequest> requests(long seed, int count, int vocab) {
    Random random = new Random(seed);
    int[] shared = random.ints(40, 0, vocab).toArray();
    List<GenerationRequest> requests = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      int[] prompt = random.ints(1 + random.nextInt(60), 0, vocab).toArray();
      if (random.nextBoolean()) {
        System.arraycopy(shared, 0, prompt, 0, Math.min(shared.length, prompt.length));
      }
      ServiceClass c = ServiceClass.values()[random.nextInt(3)];
      requests.add(
          new GenerationRequest("r" + i, prompt, params(random, i))
              .withServiceClass(c)
              .withPriority(random.nextInt(2)));
    }
    return requests;
  }

  private static SamplingParams params(Random random, int i) {
    int maxTokens = 1 + random.nextInt(90);
    SamplingParams.Builder params =
        SamplingParams.builder()
            .n(random.nextInt(4) == 0 ? 3 : 1)
            .maxTokens(maxTokens)
            .temperature(random.nextInt(3) == 0 ? 0 : 1)
            .seed(i)
            .ignoreEos(random.nextInt(3) == 0)
            .breakLoops(random.nextInt(3) == 0)
            .logitBias(few(random));
    if (random.nextInt(3) == 0) {
      params.topK(2 + random.nextInt(20)).topP(0.9f).minP(0.01f);
    }
    if (random.nextInt(3) == 0) {
      params.presencePenalty(0.7f).frequencyPenalty(0.3f).repetitionPenalty(1.2f);
    }
    if (random.nextInt(3) == 0) {
      params
          .stopTokenIds(Set.of(random.nextInt(8)))
          .minTokens(random.nextInt(Math.min(20, maxTokens)));
    }
    if (random.nextInt(3) == 0) {
      params.numLogprobs(3).promptLogprobs(random.nextBoolean() ? 2 : -1);
    }
    Thinking thinking =
        new Thinking(
            random.nextBoolean(), OPEN, CLOSE, random.nextInt(25) - 1, List.of(3, CLOSE, 4));
    boolean thinks = random.nextBoolean();
    if (thinks) {
      params.thinking(thinking);
    }
    if (random.nextInt(3) == 0) {
      params.form(
          new AnswerForm(FORMS[random.nextInt(FORMS.length)], thinks && random.nextBoolean()));
    }
    return params.build();
  }

  /** Makes a few ids so likely that a text of them repeats itself. */
  private static Map<Integer, Float> few(Random random) {
    Map<Integer, Float> bias = new HashMap<>();
    for (int i = 1 + random.nextInt(5); i > 0; i--) {
      bias.put(random.nextInt(8), 50f);
    }
    for (char c = 'a'; c < 'e'; c++) { // of forms
      bias.put((int) c, 30f);
    }
    return bias;
  }

  /** Submits them all at once, and what each choice of each is told. */
  static List<List<Told>> answers(Engine engine, List<GenerationRequest> requests)
      throws Exception {
    engine.pause().get();
    List<Generation> generations = new ArrayList<>();
    for (GenerationRequest request : requests) {
      generations.add(engine.submit(request));
    }
    engine.resume();
    List<List<Told>> answers = new ArrayList<>();
    for (int i = 0; i < requests.size(); i++) {
      answers.add(read(generations.get(i), requests.get(i).params().n()));
    }
    return answers;
  }

  private static List<Told> read(Generation generation, int n) throws InterruptedException {
    List<List<String>> tokens = new ArrayList<>();
    String[] ends = new String[n];
    for (int i = 0; i < n; i++) {
      tokens.add(new ArrayList<>());
    }
    for (int open = n; open > 0; ) {
      switch (generation.take()) {
        case EngineEvent.Started _ -> {}
        case EngineEvent.PromptScored scored ->
            scored.tokens().forEach(s -> tokens.getFirst().add("prompt " + bits(s)));
        case EngineEvent.Token t ->
            tokens.get(t.choice()).add(bits(t.result()) + (t.forced() ? " forced" : ""));
        case EngineEvent.Finished f -> {
          ends[f.choice()] = f.reason() + " " + f.stopTokenId();
          open--;
        }
        case EngineEvent.Failed failed -> {
          Arrays.fill(ends, failed.message());
          open = 0;
        }
      }
    }
    List<Told> told = new ArrayList<>();
    for (int i = 0; i < n; i++) {
      told.add(new Told(tokens.get(i), ends[i]));
    }
    return told;
  }

  private static String bits(TokenResult result) {
    StringBuilder s = new StringBuilder();
    s.append(result.tokenId()).append(' ').append(Float.floatToIntBits(result.logprob()));
    s.append(' ').append(result.rank());
    result
        .top()
        .forEach(
            t ->
                s.append(' ')
                    .append(t.tokenId())
                    .append(' ')
                    .append(Float.floatToIntBits(t.logprob())));
    return s.toString();
  }
}
