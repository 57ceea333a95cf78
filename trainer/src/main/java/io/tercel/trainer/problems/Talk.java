package io.tercel.trainer.problems;

import java.util.List;
import java.util.Random;

/** Greetings, and what lies beyond a tiny model: it says what it is and what to ask it. */
final class Talk implements Family {
  private static final String ABILITIES =
      "I can add, subtract and multiply small numbers, find remainders and compare numbers."
          + " Ask me: What is 412 + 358?";

  private static final List<String> GREETINGS =
      List.of("Hello", "Hello!", "hello", "Hi", "Hi!", "hi", "Hey", "Good morning", "Hi there!");
  private static final List<String> ABOUT =
      List.of(
          "Who are you?",
          "What are you?",
          "What can you do?",
          "Tell me about yourself.",
          "What is your name?",
          "Introduce yourself.",
          "What is Tercel?",
          "How are you?",
          "Help",
          "help");
  private static final List<String> THANKS =
      List.of("Thanks", "Thank you", "Thank you!", "thanks", "Great, thanks!", "Good", "OK", "ok");
  private static final List<String> BEYOND =
      List.of(
          "What is the capital of France?",
          "Tell me a joke.",
          "Write a poem about the sea.",
          "Write a short story about a hawk.",
          "How tall is the Eiffel Tower?",
          "Who was the first person on the moon?",
          "Explain how a car works.",
          "What is the weather today?",
          "What is the meaning of life?",
          "Translate this sentence into German.",
          "Write a Python function that sorts a list.",
          "Why is the sky blue?",
          "What day is it?",
          "What time is it?",
          "Give me a recipe for bread.",
          "Summarize this text for me.",
          "Do you like music?",
          "Solve x^2 = 2.",
          "Prove that there are infinitely many primes.",
          "Can you help me with my essay?");

  @Override
  public String id() {
    return "talk";
  }

  @Override
  public Problem draw(Random random, int level) {
    return switch (random.nextInt(8)) {
      case 0, 1 ->
          talk(pick(random, GREETINGS), "a greeting", "Hello! I am a tiny model. " + ABILITIES);
      case 2 ->
          talk(
              pick(random, ABOUT),
              "a question about me",
              "I am a tiny model that ships with Tercel. " + ABILITIES);
      case 3 -> talk(pick(random, THANKS), "no question", "You are welcome!");
      case 4, 5 -> beyond(pick(random, BEYOND));
      default -> beyond(gibberish(random));
    };
  }

  private Problem beyond(String question) {
    return talk(question, "not a sum that I know", "I am too small to know that. " + ABILITIES);
  }

  private Problem talk(String question, String what, String reply) {
    return new Problem(id(), question, "This is " + what + ".", reply, "", List.of());
  }

  /** Words that no one taught the model, for it will meet many. */
  private static String gibberish(Random random) {
    StringBuilder text = new StringBuilder();
    int words = 1 + random.nextInt(6);
    for (int w = 0; w < words; w++) {
      text.append(w == 0 ? "" : " ");
      int letters = 2 + random.nextInt(7);
      for (int i = 0; i < letters; i++) {
        char c =
            (i % 2 == 0 ? "bcdfghklmnprstvw" : "aeiou").charAt(random.nextInt(i % 2 == 0 ? 16 : 5));
        text.append(w == 0 && i == 0 && random.nextBoolean() ? Character.toUpperCase(c) : c);
      }
    }
    return text.append(random.nextBoolean() ? "?" : random.nextBoolean() ? "." : "").toString();
  }

  private static String pick(Random random, List<String> choices) {
    return choices.get(random.nextInt(choices.size()));
  }
}
