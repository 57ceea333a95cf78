package io.tercel.loadtests.data;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;

/**
 * First questions of conversations, answered as long as their recorded answers: {@code vllm bench
 * serve --dataset-name sharegpt}, with its filters. They come in an order drawn by the seed, and
 * again from the beginning when they run out.
 */
public final class ShareGptDataset implements Dataset {
  /** vLLM's: what is shorter or longer is left out. */
  private static final int MIN_TOKENS = 4;

  private static final int MAX_PROMPT_TOKENS = 1024;
  private static final int MAX_TOTAL_TOKENS = 2048;

  private record Sample(String prompt, int outputTokens) {}

  private final List<Sample> samples;
  private final long seed;

  private ShareGptDataset(List<Sample> samples, long seed) {
    this.samples = samples;
    this.seed = seed;
  }

  /**
   * Reads a file.
   *
   * @param counter of prompts and answers
   * @param wanted how many requests there will be about: no more are counted and kept
   * @param outputTokens of every answer; 0 for as long as the recorded one
   * @throws DatasetException if nothing of the file can be used
   */
  public static ShareGptDataset read(
      Path file, TokenCounter counter, int wanted, int outputTokens, long seed)
      throws IOException, InterruptedException {
    List<Conversation> conversations = ConversationFile.read(file);
    Collections.shuffle(conversations, new Random(Seeds.derive(seed, "sharegpt", 0)));
    List<Sample> samples = new ArrayList<>();
    for (Conversation conversation : conversations) {
      if (samples.size() == wanted) {
        break;
      }
      String question = conversation.messages().get(0).text();
      String answer = conversation.messages().get(1).text();
      int prompt = counter.count(question);
      int output = outputTokens > 0 ? outputTokens : counter.count(answer);
      if (fits(prompt, output, outputTokens > 0)) {
        samples.add(new Sample(question, output));
      }
    }
    if (samples.isEmpty()) {
      throw new DatasetException(
          "%s: none of %d conversations has a first question of %d to %d tokens and %d with its answer"
              .formatted(
                  file, conversations.size(), MIN_TOKENS, MAX_PROMPT_TOKENS, MAX_TOTAL_TOKENS));
    }
    return new ShareGptDataset(samples, seed);
  }

  private static boolean fits(int prompt, int output, boolean outputGiven) {
    return prompt >= MIN_TOKENS
        && (outputGiven || output >= MIN_TOKENS)
        && prompt <= MAX_PROMPT_TOKENS
        && prompt + output <= MAX_TOTAL_TOKENS;
  }

  /** How many different requests there are. */
  public int size() {
    return samples.size();
  }

  @Override
  public LoadRequest request(long index) {
    Sample sample = samples.get((int) (index % samples.size()));
    return new LoadRequest(
        index,
        new Prompt.Text(sample.prompt()),
        sample.outputTokens(),
        Seeds.derive(seed, "file", index) >>> 1);
  }
}
