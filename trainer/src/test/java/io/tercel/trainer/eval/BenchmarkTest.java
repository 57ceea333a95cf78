package io.tercel.trainer.eval;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.server.UserException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class BenchmarkTest {
  @TempDir Path folder;

  private List<BenchmarkProblem> read(String name, String text) throws IOException {
    return Benchmark.read(Files.writeString(folder.resolve(name), text));
  }

  @Test
  void read_publishedJsonLines() throws IOException {
    List<BenchmarkProblem> problems =
        read(
            "x.jsonl",
            """
            \ufeff{"problem":"AIME?","answer":204}
            {"question":"GSM?","answer":"He has <<9*2=18>>18.\\n#### 1,018"}

            {"problem":"MATH?","solution":"so \\\\boxed{\\\\frac{1}{2}}","subject":"Algebra","unique_id":"t/1.json"}
            {"id":7,"family":"addition","problem":"1+1?","answer":"2"}
            {"problem":"short","solution":"3"}
            """);
    assertEquals(
        List.of(
            new BenchmarkProblem("1", "AIME?", "204", null, false),
            new BenchmarkProblem("2", "GSM?", "1,018", null, false),
            new BenchmarkProblem("t/1.json", "MATH?", "\\frac{1}{2}", "Algebra", false),
            new BenchmarkProblem("7", "1+1?", "2", "addition", false),
            new BenchmarkProblem("6", "short", "3", null, false)),
        problems);
  }

  @Test
  void read_gpqa_shufflesByAFixedSeed() throws IOException {
    String csv =
        "Record ID,Question,Correct Answer,Incorrect Answer 1,Incorrect Answer 2,Incorrect Answer 3\r\n"
            + "r1,\"Which, \"\"a\"\"\nor b?\",right,w1,w2,w3\r\n"
            + "r2,Q2,right,w1,w2,w3\r\n"
            + "r3,Q3,right,w1,w2,w3\r\n"
            + "r4,Q4,right,w1,w2,w3\r\n";
    List<BenchmarkProblem> problems = read("gpqa.csv", csv);
    assertEquals(problems, read("again.csv", csv));
    assertEquals(4, problems.size());
    assertTrue(problems.getFirst().question().contains("Which, \"a\"\nor b?"));
    assertTrue(problems.stream().map(BenchmarkProblem::answer).distinct().count() > 1);
    for (BenchmarkProblem problem : problems) {
      assertTrue(problem.selfContained());
      assertTrue(problem.question().contains("\n" + problem.answer() + ") right"), "" + problem);
      assertTrue(problem.question().contains("'Answer: $LETTER'"));
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          a.jsonl   | {"problem":"x"}                     | a.jsonl:1: no answer
          b.jsonl   | {"answer":"x"}                      | b.jsonl:1: no problem
          c.jsonl   | {"problem":["x"],"answer":"x"}      | c.jsonl:1: problem: expected text
          d.jsonl   | {"problem":                         | d.jsonl:1: not JSON
          e.jsonl   | [1]                                 | e.jsonl:1: each line is one JSON object
          f.jsonl   | ' '                                 | no problems in it
          g.parquet | x                                   | no parquet that can be read
          h.csv     | Question,Answer                     | no column 'Correct Answer'
          """)
  void read_badData_namesTheFieldAndTheMend(String name, String text, String message) {
    UserException e = assertThrows(UserException.class, () -> read(name, text));
    assertTrue(String.valueOf(e.getMessage()).contains(message), e.getMessage());
  }

  @Test
  void read_missingFile_isSaid() {
    UserException e =
        assertThrows(UserException.class, () -> Benchmark.read(folder.resolve("no.jsonl")));
    assertTrue(String.valueOf(e.getMessage()).startsWith("--data: no such file"), e.getMessage());
  }
}
