package io.tercel.loadtests.data;

import java.util.List;
import java.util.SplittableRandom;

/**
 * Prompts of random English words, of about the wanted number of tokens: how many tokens a word
 * takes, and how many the chat template adds, is measured at the server beforehand.
 */
public final class WordPrompts implements PromptMaker {
  private static final List<String> WORDS =
      List.of(
          "time",
          "year",
          "people",
          "way",
          "day",
          "man",
          "thing",
          "woman",
          "life",
          "child",
          "world",
          "school",
          "state",
          "family",
          "student",
          "group",
          "country",
          "problem",
          "hand",
          "part",
          "place",
          "case",
          "week",
          "company",
          "system",
          "program",
          "question",
          "work",
          "number",
          "night",
          "point",
          "home",
          "water",
          "room",
          "mother",
          "area",
          "money",
          "story",
          "fact",
          "month",
          "lot",
          "right",
          "study",
          "book",
          "eye",
          "job",
          "word",
          "business",
          "issue",
          "side",
          "kind",
          "head",
          "house",
          "service",
          "friend",
          "father",
          "power",
          "hour",
          "game",
          "line",
          "end",
          "member",
          "law",
          "car");

  private final double tokensPerWord;
  private final double templateTokens;

  /**
   * Makes prompts for a tokenizer of that kind.
   *
   * @param tokensPerWord more than 0
   * @param templateTokens what every prompt has besides its words; at least 0
   */
  public WordPrompts(double tokensPerWord, double templateTokens) {
    if (!(tokensPerWord > 0 && templateTokens >= 0)) {
      throw new IllegalArgumentException(tokensPerWord + " tokens a word, " + templateTokens);
    }
    this.tokensPerWord = tokensPerWord;
    this.templateTokens = templateTokens;
  }

  /** So many words of the list, the same for everybody: what a server is measured with. */
  public static String sample(int words) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < words; i++) {
      text.append(i == 0 ? "" : " ").append(WORDS.get(i % WORDS.size()));
    }
    return text.toString();
  }

  @Override
  public Prompt make(List<Segment> segments) {
    StringBuilder text = new StringBuilder();
    for (int s = 0; s < segments.size(); s++) {
      Segment segment = segments.get(s);
      SplittableRandom random = new SplittableRandom(segment.seed());
      // The template's share is taken off the last one, so that a shared prefix stays what it is.
      double tokens = segment.tokens() - (s == segments.size() - 1 ? templateTokens : 0);
      long words = Math.max(1, Math.round(tokens / tokensPerWord));
      for (long i = 0; i < words; i++) {
        text.append(text.isEmpty() ? "" : " ").append(WORDS.get(random.nextInt(WORDS.size())));
      }
    }
    return new Prompt.Text(text.toString());
  }
}
