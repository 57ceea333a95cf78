package io.tercel.trainer.eval.code;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.server.UserException;
import io.tercel.trainer.eval.AnswerChecker.Verdict;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.zip.DeflaterOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@Timeout(120)
final class CodeSuiteTest {
  private static final String SUM =
      "[{\"input\":\"1 2\\n\",\"output\":\"3\\n\",\"testtype\":\"stdin\"}]";
  private static final String HIDDEN =
      "[{\"input\":\"20 30\\n\",\"output\":\"50\",\"testtype\":\"stdin\"}]";
  private static final String TWICE =
      "[{\"input\":\"[1,2]\\n3\",\"output\":\"[3, 6.0]\",\"testtype\":\"functional\"}]";

  @TempDir Path folder;

  /** As {@code pickle.dumps(text)} of Python 3.11 writes it, which protocol 4 is. */
  private static byte[] pickle(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.writeBytes(HexFormat.of().parseHex("8004"));
    out.writeBytes(HexFormat.of().parseHex("95"));
    out.writeBytes(little(bytes.length + 7, 8));
    out.write('X');
    out.writeBytes(little(bytes.length, 4));
    out.writeBytes(bytes);
    out.write(0x94);
    out.write('.');
    return out.toByteArray();
  }

  private static byte[] little(long value, int size) {
    byte[] bytes = new byte[size];
    for (int i = 0; i < size; i++) {
      bytes[i] = (byte) (value >>> (8 * i));
    }
    return bytes;
  }

  private static String packed(byte[] pickle) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (DeflaterOutputStream deflated = new DeflaterOutputStream(out)) {
      deflated.write(pickle);
    }
    return Base64.getEncoder().encodeToString(out.toByteArray());
  }

  private static ObjectNode line(String id, String open, String hidden, String metadata) {
    return new ObjectMapper()
        .createObjectNode()
        .put("question_id", id)
        .put("question_content", "Do it.")
        .put("starter_code", metadata.length() > 2 ? "class Solution:\n    def f(self):" : "")
        .put("difficulty", "easy")
        .put("public_test_cases", open)
        .put("private_test_cases", hidden)
        .put("metadata", metadata);
  }

  private CodeSuite open(String... lines) throws IOException, InterruptedException {
    Path file = Files.writeString(folder.resolve("test.jsonl"), String.join("\n", lines) + "\n");
    Namespaces.assume();
    return CodeSuite.open(List.of(file), Sandbox.find(false), ProcessLimits.USUAL);
  }

  @Test
  void check_runsPublicAndPackedTests() throws IOException, InterruptedException {
    try (CodeSuite suite =
        open(
            line("a", SUM, packed(pickle(HIDDEN)), "{}").toString(),
            line("b", TWICE, "[]", "{\"func_name\":\"f\"}").toString())) {
      assertEquals(2, suite.problems().size());
      assertTrue(suite.problems().get(0).selfContained());
      assertTrue(suite.problems().get(0).question().contains("# YOUR CODE HERE"));
      assertTrue(suite.problems().get(1).question().contains("def f(self):"));
      String sum = "Thus:\n```python\na, b = map(int, input().split())\nprint(a + b)\n```\nDone.";
      assertEquals(new Verdict("passes 2 tests", true), check(suite, 0, sum));
      assertEquals(
          new Verdict("test 2 of 2: wrong", false),
          check(suite, 0, "```python\nprint(3)\n```"),
          "right in public, wrong in private");
      assertEquals(new Verdict(null, false), check(suite, 0, "It is 3."));
      assertEquals(
          new Verdict("test 1 of 2: fails with status 1", false), check(suite, 0, "```\n1/0\n```"));
      String twice =
          "```py\nclass Solution:\n  def f(self, a, k):\n    return tuple(k * x for x in a)\n```";
      assertEquals(new Verdict("passes 1 tests", true), check(suite, 1, twice));
    }
  }

  private static Verdict check(CodeSuite suite, int problem, String text)
      throws InterruptedException {
    return suite.check(suite.problems().get(problem), text);
  }

  @Test
  void open_badLines_areOneClearLine() throws IOException {
    refuse(line("a", "[]", "[]", "{}"), "public_test_cases and private_test_cases hold no test");
    refuse(line("a", SUM, "nothing", "{}"), "private_test_cases");
    refuse(line("a", TWICE, "[]", "{}"), "metadata names no func_name");
    refuse(line("a", SUM, packed(pickle("{}")), "{}"), "private_test_cases is no list of tests");
    byte[] call = "cos\nsystem\n(S'true'\ntR.".getBytes(StandardCharsets.US_ASCII);
    refuse(line("a", SUM, packed(call), "{}"), "a pickle of something else than one text");
    ObjectNode without = line("a", SUM, "[]", "{}");
    without.remove("question_content");
    refuse(without, "question_content is missing");
    String same = line("a", SUM, "[]", "{}").toString();
    String said = said(same, same);
    assertTrue(said.contains("test.jsonl:2: question_id is there twice: a"), said);
  }

  private void refuse(ObjectNode line, String message) {
    String said = said(line.toString());
    assertTrue(said.contains("test.jsonl:1: ") && said.contains(message), said);
  }

  private String said(String... lines) {
    return String.valueOf(assertThrows(UserException.class, () -> open(lines)).getMessage());
  }

  @Test
  void pickledText_readsWhatPythonWrites() throws IOException {
    // pickle.dumps('é"', p) for p in 2 to 5
    for (String hex :
        List.of(
            "80025803000000c3a92271002e",
            "80035803000000c3a92271002e",
            "80049507000000000000008c03c3a922942e",
            "80059507000000000000008c03c3a922942e")) {
      assertEquals("é\"", PickledText.read(new ByteArrayInputStream(HexFormat.of().parseHex(hex))));
    }
    byte[] cut = HexFormat.of().parseHex("80025804000000c3a9");
    assertThrows(IOException.class, () -> PickledText.read(new ByteArrayInputStream(cut)));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          3 | 3\\n | true
          3  | 3.0 | true
          1 2 | 1  2 | true
          1\\n2 | 1 2 | false
          Yes | yes | false
          0.1 | 0.10000000000000001 | false
          1e400 | 1e400 | true
          a\\n b | a\\nb | true
          '' | 0 | false
          """)
  void samePrinted(String given, String expected, boolean same) {
    assertEquals(
        same, Outputs.samePrinted(given.replace("\\n", "\n"), expected.replace("\\n", "\n")));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          [1, 2] | [1,2.0] | true
          true | 1 | true
          "1" | 1 | false
          [1, 2] | [2, 1] | false
          {"a": [null]} | {"a":[null]} | true
          {"a": 1} | {"b":1} | false
          12345678901234567890 | 12345678901234567891 | false
          NaN | NaN | false
          '' | '' | false
          """)
  void sameValue(String given, String expected, boolean same) {
    assertEquals(same, Outputs.sameValue(given, expected));
  }

  @Test
  void program_isTheLastBlockThatEnds() {
    assertEquals(Optional.of("b\n"), Program.in("```\na\n```\ntext\n```python\nb\n```\nend"));
    assertEquals(Optional.of("a\n"), Program.in("```\na\n```\n```python\nb"));
    assertFalse(Program.in("```python\nb").isPresent());
    assertFalse(Program.in("```python\n\n```").isPresent());
  }
}
