package io.tercel.trainer.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.server.UserException;
import io.tercel.trainer.data.PromptSet.Prompt;
import io.tercel.trainer.eval.AnswerChecker;
import io.tercel.trainer.eval.PromptTemplate;
import io.tercel.trainer.problems.Partition;
import io.tercel.trainer.problems.ProblemMix;
import java.io.IOException;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class PromptSetTest {
  @TempDir Path temp;
  private DataFolder data;

  @BeforeEach
  void open() throws IOException {
    data = DataFolder.of(temp);
  }

  @AfterEach
  void close() {
    data.close();
  }

  private Prompt only(String line) throws IOException {
    try (PromptSet set = data.prompts(data.file("one.jsonl", line + "\n"))) {
      assertEquals(1, set.size().orElseThrow());
      return set.batch(0, 1).getFirst();
    }
  }

  private void check(String line, String question, String answer) throws IOException {
    Prompt prompt = only(line);
    assertEquals(answer, prompt.answer());
    assertEquals(
        "<|im_start|>user\n" + question + "<|im_end|>\n<|im_start|>assistant\n<think>\n",
        data.tokenizer.decode(prompt.tokens(), false));
    assertTrue(prompt.id().endsWith("one.jsonl:1"), prompt.id());
  }

  @Test
  void layouts_giveQuestionAndAnswer() throws IOException {
    String maths = PromptTemplate.MATHS.render("1+1?");
    check("{\"problem\":\"1+1?\",\"answer\":\"2\"}", maths, "2");
    check("{\"problem\":\"1+1?\",\"answer\":2}", maths, "2");
    check("{\"problem\":\"1+1?\",\"solution\":\"so \\\\boxed{2}\",\"answer\":null}", maths, "2");
    check("{\"question\":\"1+1?\",\"answer\":\"work\\n#### 1,002\"}", maths, "1,002");
    check(
        "{\"problem\":\"1+1?\",\"answer\":\"2\",\"generations\":[],\"correctness_math_verify\":[]}",
        maths,
        "2");
    check("{\"problem\":\"1+1?\",\"answer\":\"2\",\"text\":\"x\"}", "1+1?", "2");
    check(
        "{\"messages\":[{\"role\":\"user\",\"content\":\"1+1?\"},"
            + "{\"role\":\"assistant\",\"content\":\"2\"}],\"answer\":\"2\"}",
        "1+1?",
        "2");
  }

  @Test
  void lines_withoutAnswer_areLeftOut() throws IOException {
    String lines =
        """
        {"problem":"a","solution":"no box","answer":"proof"}
        {"problem":"b","solution":"no box","answer":"notfound"}
        {"problem":"c","solution":"c","answer":"3"}
        """;
    try (PromptSet set = data.prompts(data.file("n.jsonl", lines))) {
      assertEquals(1, set.size().orElseThrow());
      assertEquals("3", set.batch(7, 1).getFirst().answer());
    }
    assertTrue(data.notices.getFirst().contains("2 of 3 lines"), data.notices::toString);
    DataSpec none = data.file("n.jsonl", lines.lines().findFirst().orElseThrow());
    assertThrows(UserException.class, () -> data.prompts(none));
    DataSpec text = data.file("t.jsonl", "{\"text\":\"a b\"}\n");
    String said = DataFolder.refusal(() -> data.prompts(text));
    assertTrue(said.contains("t.jsonl:1: problem is missing"), said);
  }

  @Test
  void longPrompts_arePassedOver() throws IOException {
    String lines =
        "{\"problem\":\"a\",\"answer\":\"1\",\"text\":\"\"}\n{\"problem\":\"%s\",\"answer\":\"2\",\"text\":\"\"}\n"
            .formatted("a".repeat(50));
    try (PromptSet set = data.prompts(data.file("l.jsonl", lines).withMaxLength(40))) {
      for (int step = 0; step < 4; step++) {
        assertTrue(set.batch(step, 2).stream().allMatch(prompt -> prompt.answer().equals("1")));
      }
    }
    assertEquals(1, data.notices.size(), data.notices::toString);
    try (PromptSet set = data.prompts(data.file("l.jsonl", lines).withMaxLength(5))) {
      assertThrows(UserException.class, () -> set.batch(0, 1));
    }
  }

  @Test
  void problems_areOfTheTrainingSetAndHaveAnswers() {
    Set<String> heldOut = new HashSet<>();
    ProblemMix.of(Map.of("mod", 1.0, "talk", 0.0001))
        .distinct(1, Partition.HELD_OUT, 200)
        .forEach(problem -> heldOut.add(problem.question()));
    try (PromptSet set = data.prompts(DataSpec.of("problems:mod,talk"))) {
      List<Prompt> prompts = set.batch(0, 300);
      for (Prompt prompt : prompts) {
        String text = data.tokenizer.decode(prompt.tokens(), false);
        assertTrue(text.contains(" mod "), "talk has no answer: " + text);
        assertFalse(heldOut.stream().anyMatch(text::contains), text);
        assertTrue(AnswerChecker.same(prompt.answer(), prompt.answer()));
      }
    }
  }

  /** There are few problems of bases, so that two sets of training draws would meet. */
  @Test
  void problems_forEvaluation_areNeverTrainedOn() {
    DataSpec spec = DataSpec.of("problems:base");
    try (PromptSet trained = data.prompts(spec);
        PromptSet tried = data.prompts(spec.withSeed(20_000).forEvaluation())) {
      Set<String> seen = questions(trained, 2000);
      Set<String> asked = questions(tried, 300);
      assertTrue(asked.size() > 50, asked.size() + " different ones");
      asked.retainAll(seen);
      assertEquals(Set.of(), asked);
    }
  }

  private Set<String> questions(PromptSet set, int count) {
    Set<String> questions = new HashSet<>();
    for (Prompt prompt : set.batch(0, count)) {
      questions.add(data.tokenizer.decode(prompt.tokens(), false));
    }
    return questions;
  }
}
