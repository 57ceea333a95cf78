package io.tercel.trainer.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.tercel.server.UserException;
import io.tercel.trainer.problems.Family;
import io.tercel.trainer.problems.Partition;
import io.tercel.trainer.problems.Problem;
import io.tercel.trainer.problems.ProblemMix;
import io.tercel.trainer.qat.TokenBatch.Example;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class TrainingSetTest {
  private static final String ASK =
      "\n\nPlease reason step by step, and put your final answer within \\boxed{}.";

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

  private Example only(String lines) throws IOException {
    try (TrainingSet set = data.open(data.file("one.jsonl", lines))) {
      assertEquals(1, set.size().orElseThrow());
      return set.batch(0, 1).getFirst();
    }
  }

  private static String maths(String problem) {
    return "<|im_start|>user\n" + problem + ASK + "<|im_end|>\n<|im_start|>assistant\n<think>\n";
  }

  @Test
  void messages_eachTurnIsLearntAsItIsGenerated() throws IOException {
    DataSpec spec =
        data.file(
            "chat.jsonl",
            """
            {"messages":[{"role":"system","content":"Be brief."},\
            {"role":"user","content":"1+1?"},\
            {"role":"assistant","content":"<think>\\none and one\\n</think>\\n\\n2"},\
            {"role":"user","content":"+1?"},\
            {"role":"assistant","reasoning_content":"2+1=3","content":"3"}]}
            """);
    try (TrainingSet set = data.open(spec)) {
      assertEquals(2, set.size().orElseThrow());
      List<Example> turns = new ArrayList<>(set.batch(0, 2));
      turns.sort((a, b) -> a.tokens().length - b.tokens().length);
      String before = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n1+1?<|im_end|>\n";
      assertEquals(before + "<|im_start|>assistant\n<think>\n", data.text(turns.get(0), false));
      assertEquals("one and one\n</think>\n\n2<|im_end|>", data.text(turns.get(0), true));
      assertEquals(
          before
              + "<|im_start|>assistant\n2<|im_end|>\n<|im_start|>user\n+1?<|im_end|>\n"
              + "<|im_start|>assistant\n<think>\n",
          data.text(turns.get(1), false),
          "the thought of an earlier turn is left out");
      assertEquals("2+1=3\n</think>\n\n3<|im_end|>", data.text(turns.get(1), true));
      // tokenized apart: the line break that ends the prompt and the text behind it don't merge
      int[] prompt = data.tokenizer.encode(data.text(turns.get(0), false), false);
      assertEquals(0, turns.get(0).weights()[prompt.length - 1]);
      assertEquals(1, turns.get(0).weights()[prompt.length]);
    }
  }

  @Test
  void messages_whatIsNoTarget_isNotLearnt() throws IOException {
    DataSpec spec =
        data.file(
            "chat.jsonl",
            """
            {"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b","weight":0},\
            {"role":"user","content":[{"type":"text","text":"c"}]},{"role":"assistant","content":"d"}]}
            {"messages":[{"role":"user","content":"nobody answers"}]}
            {"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"<think>\\ncut"}]}

            """);
    try (TrainingSet set = data.open(spec)) {
      // a turn without a thought closes the one that the template opens
      assertEquals(List.of("\n</think>\n\nd<|im_end|>"), data.responses(set));
      assertEquals(2, set.dropped());
    }
    assertEquals(1, data.notices.size(), data.notices::toString);
    assertTrue(data.notices.getFirst().contains("2 of 3 lines"), data.notices::toString);
  }

  @Test
  void openR1_takesTheFirstVerifiedGeneration() throws IOException {
    String lines =
        """
        {"problem":"1+1?","solution":"see","answer":"2","messages":[],"generations":\
        ["<think>\\nno\\n</think>\\n\\n3","<think>\\nyes\\n</think>\\n\\n2","<think>\\nyes too\\n</think>\\n\\n2"],\
        "correctness_math_verify":[false,true,true]}
        {"problem":"2+2?","generations":["<think>\\nno\\n</think>\\n\\n5"],"correctness_math_verify":[false]}
        {"problem":"3+3?","generations":["<think>\\nfirst","<think>\\nand\\n</think>\\n\\n6"],\
        "correctness_math_verify":null,"correctness_llama":[true,true]}
        """;
    try (TrainingSet set = data.open(data.file("r1.jsonl", lines))) {
      assertEquals(
          List.of("and\n</think>\n\n6<|im_end|>", "yes\n</think>\n\n2<|im_end|>"),
          data.responses(set));
      assertEquals(1, set.dropped());
      assertTrue(set.name().endsWith("(openr1)"), set.name());
    }
    Example example = only(lines.lines().findFirst().orElseThrow() + "\n");
    assertEquals(maths("1+1?"), data.text(example, false));
  }

  @Test
  void problemsWithWork_areAskedAsInEvaluation() throws IOException {
    Example numina =
        only(
            "{\"problem\":\"1+1?\",\"solution\":\"It is \\\\boxed{2}\",\"answer\":\"2\",\"source\":\"x\"}\n");
    assertEquals(maths("1+1?"), data.text(numina, false));
    assertEquals("\n</think>\n\nIt is \\boxed{2}<|im_end|>", data.text(numina, true));
    Example gsm8k = only("{\"question\":\"1+1?\",\"answer\":\"one and one\\n#### 2\"}\n");
    assertEquals(maths("1+1?"), data.text(gsm8k, false));
    assertEquals("\n</think>\n\none and one\n\n\\boxed{2}<|im_end|>", data.text(gsm8k, true));
    Example worked =
        only("{\"problem\":\"1+1?\",\"answer\":\"2\",\"text\":\"1+1=2\\n</think>\\n\\n2\"}");
    assertEquals(
        "<|im_start|>user\n1+1?<|im_end|>\n<|im_start|>assistant\n<think>\n",
        data.text(worked, false));
    assertEquals("1+1=2\n</think>\n\n2<|im_end|>", data.text(worked, true));
  }

  @Test
  void publishedTemplates_theResponseIsWhatTheModelWrites() throws IOException {
    String thinking =
        "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},"
            + "{\"role\":\"assistant\",\"content\":\"<think>\\nt\\n</think>\\n\\na\"}]}\n";
    String plain =
        "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},"
            + "{\"role\":\"assistant\",\"content\":\"a\"}]}\n";
    // Qwen3 opens the thought itself, and an answer without one has an empty one
    checkTemplate("qwen3.jinja", thinking, "assistant\n", "<think>\nt\n</think>\n\na<|im_end|>");
    checkTemplate("qwen3.jinja", plain, "assistant\n", "<think>\n\n</think>\n\na<|im_end|>");
    checkTemplate("qwen2.5.jinja", plain, "assistant\n", "a<|im_end|>");
    checkTemplate(
        "qwen3-thinking-2507.jinja",
        thinking,
        "assistant\n<think>\n",
        "t\n</think>\n\na<|im_end|>");
    // R1's drops thoughts of every turn, also of the last
    checkTemplate(
        "deepseek-r1-distill-qwen.jinja", thinking, "<think>\n", "t\n</think>\n\na<|im_end|>");
  }

  /** As models have it that know no line breaks: space of other writers would be unknown tokens. */
  @Test
  void templateWithoutSpace_fileAndGeneratorGiveTheSame() throws IOException {
    String template = "{% for m in messages %}{{ m.content }}{% endfor %}<think>";
    Problem problem = ProblemMix.of(Map.of("sum", 1.0)).draw(3, Partition.TRAINING, 0, Family.FULL);
    String line =
        new ObjectMapper()
            .createObjectNode()
            .put("problem", problem.question())
            .put("answer", problem.answer())
            .put("text", problem.response())
            .toString();
    try (DataFolder bare = DataFolder.withTemplateText(temp, template);
        TrainingSet set = bare.open(bare.file("one.jsonl", line + "\n"))) {
      Example example = set.batch(0, 1).getFirst();
      assertEquals(problem.question() + "<think>", bare.text(example, false));
      assertEquals(
          problem.thinking() + "</think>" + problem.reply() + "<|im_end|>",
          bare.text(example, true));
    }
  }

  private void checkTemplate(String template, String line, String promptEnd, String response)
      throws IOException {
    Path folder = Files.createTempDirectory(temp, "t");
    try (DataFolder other = DataFolder.withTemplate(folder, template);
        TrainingSet set = other.open(other.file("one.jsonl", line))) {
      Example example = set.batch(0, 1).getFirst();
      String prompt = other.text(example, false);
      assertTrue(prompt.endsWith(promptEnd), template + ": " + prompt);
      assertEquals(response, other.text(example, true), template);
    }
  }

  @Test
  void text_isADocumentALine() throws IOException {
    Example example = only("{\"text\":\"\"}\n{\"text\":\"one two\"}\n".split("\n", 2)[1]);
    assertEquals("one two", data.text(example, true));
    assertEquals("", data.text(example, false));
  }

  @Test
  void wikitext_isOneRunOfTokens() throws IOException {
    StringBuilder lines = new StringBuilder("{\"text\":\"\"}\n");
    StringBuilder text = new StringBuilder("\n\n");
    for (int i = 0; i < 3000; i++) { // several pieces
      String row = i % 7 == 0 ? "" : " = Row " + i + " = ";
      lines.append("{\"text\":\"").append(row).append("\"}\n");
      text.append(row).append("\n\n");
    }
    int[] whole = data.tokenizer.encode(text.toString(), false);
    DataSpec spec = data.file("wiki.jsonl", lines.toString()).withMaxLength(1000);
    try (TrainingSet set = data.open(spec)) {
      assertTrue(set.name().endsWith("(wikitext)"), set.name());
      int size = (int) set.size().orElseThrow();
      assertEquals((whole.length + 999) / 1000, size);
      List<List<Integer>> expected =
          IntStream.range(0, size)
              .mapToObj(
                  i -> Arrays.copyOfRange(whole, i * 1000, Math.min(whole.length, i * 1000 + 1000)))
              .map(ids -> Arrays.stream(ids).boxed().toList())
              .sorted(TrainingSetTest::compare)
              .toList();
      List<Example> found = set.batch(0, size);
      List<List<Integer>> sorted =
          DataFolder.ids(found).stream().sorted(TrainingSetTest::compare).toList();
      assertTrue(expected.equals(sorted), "other tokens than those of the whole text");
      assertTrue(found.stream().allMatch(e -> data.text(e, false).isEmpty()), "all are targets");
    }
    try (TrainingSet set = data.open(spec.withMaxLength(null))) {
      assertEquals(8192, set.batch(0, 3).stream().mapToInt(e -> e.tokens().length).max().orElse(0));
    }
  }

  private static int compare(List<Integer> a, List<Integer> b) {
    return a.toString().compareTo(b.toString());
  }

  private DataSpec numbered(int count) throws IOException {
    StringBuilder lines = new StringBuilder();
    for (int i = 0; i < count; i++) {
      lines.append("{\"text\":\"number ").append(i).append("\"}\n");
    }
    return data.file("numbered.jsonl", lines.toString());
  }

  @Test
  void batch_isAFunctionOfSeedAndStep() throws IOException {
    DataSpec spec = numbered(10);
    List<List<List<Integer>>> steps = new ArrayList<>();
    try (TrainingSet set = data.open(spec)) {
      for (int step = 0; step < 10; step++) {
        steps.add(DataFolder.ids(set.batch(step, 3)));
      }
    }
    try (TrainingSet again = data.open(spec)) {
      for (int step = 9; step >= 0; step--) {
        assertEquals(steps.get(step), DataFolder.ids(again.batch(step, 3)));
      }
    }
    List<List<Integer>> all = steps.stream().flatMap(List::stream).toList();
    for (int epoch = 0; epoch < 3; epoch++) {
      assertEquals(10, all.subList(epoch * 10, epoch * 10 + 10).stream().distinct().count());
    }
    assertNotEquals(all.subList(0, 10), all.subList(10, 20), "each epoch is shuffled anew");
    try (TrainingSet other = data.open(spec.withSeed(2))) {
      assertNotEquals(all.subList(0, 10), DataFolder.ids(other.batch(0, 10)));
    }
  }

  @Test
  void maxLength_cutsAndPassesOver() throws IOException {
    String turn =
        "{\"messages\":[{\"role\":\"user\",\"content\":\"%s\"},{\"role\":\"assistant\",\"content\":\"%s\"}]}%n";
    String lines =
        turn.formatted("a", "b")
            + turn.formatted("a", "b".repeat(100))
            + turn.formatted("a".repeat(100), "b");
    try (TrainingSet set = data.open(data.file("long.jsonl", lines).withMaxLength(40))) {
      for (int step = 0; step < 4; step++) { // every epoch counts the same ones
        List<Example> batch = set.batch(step, 3);
        assertEquals(3, batch.size());
        for (Example example : batch) {
          assertTrue(example.tokens().length <= 40);
          assertTrue(data.text(example, true).startsWith("\n</think>\n\nb"));
        }
      }
      assertEquals(2, set.truncated());
      assertEquals(1, set.skipped());
    }
    assertEquals(2, data.notices.size(), data.notices::toString);
    try (TrainingSet set = data.open(data.file("long.jsonl", lines).withMaxLength(5))) {
      assertThrows(UserException.class, () -> set.batch(0, 1));
    }
  }

  @Test
  void folder_isItsFilesInTheOrderOfNames() throws IOException {
    data.file("b.jsonl", "{\"text\":\"two\"}\n");
    data.file("a.jsonl", "{\"text\":\"one\"}\n{\"text\":\"oh\"}");
    data.file("c.txt", "no data");
    try (TrainingSet set = data.open(DataSpec.of(temp.toString()))) {
      assertEquals(List.of("oh", "one", "two"), data.responses(set));
    }
  }

  /** The line, what the message says of it; {@code ~} is a line that stands before and is well. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      textBlock =
          """
          {"text":"a"}~{"text":"b             | f.jsonl:2: the file ends in the middle of this line
          {"text":"a"}~{"text" "b"}~          | f.jsonl:2: not JSON: unexpected '"' where a colon is due
          {"text":"a"}~[1]~                   | f.jsonl:2: each line is one JSON object
          {"text":"a"}~{"txt":"b"}~           | f.jsonl:2: text is missing, which the layout text needs
          {"text":"a"}~{"text":5}~            | f.jsonl:2: text is no text
          {"name":"a","b":1}~                 | f.jsonl:1: its fields (name, b) are no layout that is known
          {"problem":"a","answer":"1"}~       | f.jsonl:1: solution is missing
          {"problem":"a","solution":null}~    | f.jsonl:1: solution is no text
          {"problem":"a","generations":["b"]}~| f.jsonl:1: correctness_math_verify is missing
          {"problem":"a","generations":["b"],"correctness_math_verify":[true,true]}~ | f.jsonl:1: correctness_math_verify is no list of 1
          {"messages":[]}~                    | f.jsonl:1: messages is empty
          {"messages":[{"role":"bot","content":""}]}~  | f.jsonl:1: messages[0].role is no system
          {"messages":[{"role":"user","content":1}]}~  | f.jsonl:1: messages[0].content is no text
          {"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"","tool_calls":[{}]}]}~ | f.jsonl:1: messages[1].tool_calls can't be learnt
          {"messages":[{"role":"user","content":"a"}]}~| --data: nothing to learn in any of the 1 lines of
          `` | is empty
          """)
  void badFiles_areOneClearLine(String lines, String message) throws IOException {
    DataSpec spec = data.file("f.jsonl", lines == null ? "" : lines.replace('~', '\n'));
    String said = DataFolder.refusal(() -> data.open(spec));
    assertTrue(said.contains(message), said);
    assertTrue(said.lines().count() == 1, said);
  }

  @Test
  void badSources_areOneClearLine() throws IOException {
    check("nowhere.jsonl", "no such file: nowhere.jsonl");
    check("train-00000.parquet", "no such file: train-00000.parquet; of the hub it is");
    Path broken = Files.writeString(temp.resolve("train.parquet"), "PAR1");
    check(broken.toString(), "no parquet that can be read");
    check("problems:nothing", "no family nothing");
    check("problems:add=x", "x is no number");
    check("problems:parts,style-b=2", "the other style's share is 2.0");
    check(
        Files.createDirectory(temp.resolve("none")).toString(),
        "no .jsonl or .parquet in the folder");
    assertThrows(UserException.class, () -> Layout.parse("json"));
    assertEquals(Layout.NUMINA, Layout.parse("NuminA"));
  }

  private void check(String source, String message) {
    String said = DataFolder.refusal(() -> data.open(DataSpec.of(source)));
    assertTrue(said.contains(message), said);
  }

  @Test
  void layout_canBeSaid() throws IOException {
    DataSpec spec =
        data.file("f.jsonl", "{\"problem\":\"p\",\"solution\":\"s\",\"text\":\"t and t\"}\n");
    try (TrainingSet set = data.open(spec.withLayout(Layout.TEXT))) {
      assertEquals(List.of("t and t"), data.responses(set));
    }
    String said = DataFolder.refusal(() -> data.open(spec.withLayout(Layout.MESSAGES)));
    assertTrue(said.contains("f.jsonl:1: messages is missing"), said);
  }

  @Test
  void file_cutWhileItIsRead_isAClearError() throws IOException {
    DataSpec spec = numbered(3);
    try (TrainingSet set = data.open(spec)) {
      Files.writeString(Path.of(spec.source()), "");
      String said = DataFolder.refusal(() -> set.batch(0, 1));
      assertTrue(said.contains("cut since it was opened"), said);
    }
  }

  @Test
  void problems_mixQ_isAQuarterInTheOtherStyle() {
    try (TrainingSet set = data.open(DataSpec.of("problems:q"))) {
      assertTrue(set.size().isEmpty());
      List<Example> examples = set.batch(0, 2000);
      long other =
          examples.stream()
              .map(example -> data.text(example, true))
              .filter(text -> text.contains(" is "))
              .count();
      assertTrue(other > 430 && other < 570, other + " of 2000");
      assertEquals(DataFolder.ids(set.batch(3, 500)), DataFolder.ids(examples.subList(1500, 2000)));
      String first = data.text(examples.getFirst(), true);
      assertTrue(first.endsWith("}<|im_end|>") && first.contains("\n</think>\n\n\\boxed{"), first);
    }
  }
}
