package io.tercel.trainer.eval;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class AnswerCheckerTest {
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          770                    | 770
          +770                   | 770
          033                    | 33
          −5                     | -5
          1,234                  | 1234
          1{,}234                | 1234
          10\\,000               | 10000
          1,234,567.5            | 1234567.5
          770.                   | 770
          770.0                  | 770
          $770$                  | 770
          **770**                | 770
          \\$18                  | 18
          $18.00                 | 18
          18 dollars             | $18
          0.5                    | \\frac{1}{2}
          .5                     | 1/2
          \\dfrac{1}{2}          | \\frac12
          -\\frac{3}{4}          | -0.75
          \\frac{-3}{4}          | -\\frac{3}{4}
          \\frac{2}{4}           | \\frac{1}{2}
          0.33333                | 1/3
          3.14159                | \\pi
          1.41421                | \\sqrt{2}
          2\\sqrt{3}             | \\sqrt{12}
          \\sqrt{16}             | 4
          \\sqrt[3]{27}          | 3
          \\frac{\\sqrt{2}}{2}   | \\frac{1}{\\sqrt{2}}
          √2                     | \\sqrt 2
          2\\pi                  | \\pi \\cdot 2
          \\frac{\\pi}{2}        | 0.5\\pi
          1\\frac{1}{2}          | 1.5
          1 1/2                  | \\frac{3}{2}
          2^{10}                 | 1024
          1.5 \\times 10^{3}     | 1500
          1.5e3                  | 1500
          10^{-3}                | 0.001
          (1+2)*3                | 9
          x = 5                  | 5
          f(x) = 5               | 5
          3+4=7                  | 7
          12 \\times 3 = 36      | 36
          5 cm                   | 5
          5\\text{ cm}           | 5 cm
          5\\,\\mathrm{cm}^2     | 5 \\text{ square centimeters}
          5 apples               | 5
          30^\\circ              | 30
          30^{\\circ}            | 30 degrees
          30°                    | 30\\text{ degrees}
          12 inches              | 12 in
          7 hours                | 7 h
          50\\%                  | 50
          50%                    | 0.5
          50 percent             | 50\\%
          0.25                   | 25\\%
          (1, 2)                 | (1,2)
          \\left(1, \\frac12\\right) | (1, 0.5)
          1, 2                   | (1, 2)
          \\{1, 2\\}             | \\{2, 1\\}
          1, -2                  | -2, 1
          -2 and 1               | 1, -2
          1 \\text{ or } 2       | 1,2
          x=1, x=2               | 2, 1
          \\{5\\}                | 5
          \\pm 2                 | 2, -2
          1 \\pm \\sqrt{2}       | 1+\\sqrt2, 1-\\sqrt2
          [0, 1)                 | \\left[0,1\\right)
          (-\\infty, 3]          | (-\\infty,3]
          (-∞, 1) ∪ (2, ∞)       | (2,\\infty) \\cup (-\\infty,1)
          x \\in [1, 2]          | [1,2]
          \\emptyset             | \\{\\}
          ((1,2),(3,4))          | ((1,2), (3,4))
          \\text{Yes}            | yes
          No.                    | no
          \\text{(B)}            | B
          (C)                    | C
          C) 42 metres           | C
          \\textbf{D}            | D
          x^2 + 1                | x^{2}+1
          \\text{east}           | East
          2516_8                 | 2516
          1011_2                 | 1011_{2}
          12345678901234567890   | 12345678901234567890
          \\tfrac{3}{4}          | 0.75
          \\frac34               | 3/4
          \\frac{3}4             | 3/4
          -\\dfrac{7}{2}         | -3.5
          2\\frac{3}{4}          | \\frac{11}{4}
          -1\\frac{1}{2}         | -1.5
          3 3/4                  | 3.75
          \\frac{2\\pi}{3}       | 2\\pi/3
          \\frac{1+\\sqrt{5}}{2} | (1+\\sqrt{5})/2
          3\\sqrt{2} - 1         | -1+3\\sqrt2
          2^{-3}                 | 0.125
          \\frac{1}{2^{3}}       | 1/8
          3.0 \\times 10^8       | 300000000
          3.0\\cdot10^{8}        | 3e8
          6.02 × 10^{23}         | 6.02e23
          1.2\\times10^{-4}      | 0.00012
          100 km/h               | 100 \\text{ km/h}
          10 \\text{ meters}     | 10 m
          12\\text{ cm}^3        | 12 \\text{ cubic centimeters}
          15 square units        | 15
          4\\text{ units}^2      | 4
          3 hours                | 3 \\text{ hours}
          2.5 kg                 | 2.5\\text{ kg}
          90^{\\circ}            | 90
          \\frac{\\pi}{4} \\text{ radians} | \\frac{\\pi}{4}
          \\$1,250.50            | 1250.5
          \\$\\,32{,}000         | 32000
          32 cents               | 32
          €25                    | 25
          £3.50                  | 3.5
          12.5\\%                | 0.125
          33\\frac{1}{3}\\%      | \\frac{100}{3}\\%
          5\\text{ percent}      | 5\\%
          x=5                    | 5
          x = \\frac{1}{2}       | 0.5
          y=2x+3                 | y = 2x + 3
          a_1 = 4                | 4
          n = 10                 | n=10
          \\theta = 30^\\circ    | 30
          x \\in \\{1, 2\\}      | \\{1,2\\}
          x = 1 \\text{ and } x = 2 | 1, 2
          x=-3 \\text{ or } x=3  | \\pm 3
          (x,y) = (1,2)          | (1,2)
          (x, y, z) = (1, 2, 3)  | (1,2,3)
          \\left\\{ -1, 0, 1 \\right\\} | \\{0,1,-1\\}
          \\{1,2,3\\}            | 3, 2, 1
          \\varnothing           | \\emptyset
          (0, \\infty)           | (0,+\\infty)
          (-\\infty, -2] \\cup [2, \\infty) | (-\\infty,-2]\\cup[2,\\infty)
          [\\frac{1}{2}, 1]      | [0.5, 1]
          \\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix} | \\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}
          \\begin{bmatrix} 1 \\\\ \\frac{1}{2} \\end{bmatrix} | \\begin{pmatrix} 1 \\\\ 0.5 \\end{pmatrix}
          \\text{A}              | A
          \\mathrm{B}            | B
          (D) 17                 | D
          B.                     | B
          **C**                  | C
          \\text{(A) } 5         | A
          \\text{Tuesday}        | tuesday
          \\text{ even }         | even
          \\text{even}           | even
          True                   | true
          \\text{No solution}    | no solution
          120_{10}               | 120
          1A3_{16}               | 1A3_{16}
          10110_2                | 10110_{2}
          7!                     | 5040
          \\log_2 8              | \\log_{2} 8
          2x+1                   | 2x + 1
          6-5i                   | 6 - 5i
          3+2i                   | 2i+3
          \\approx 3.14159       | \\pi
          .250                   | \\frac14
          0.\\overline{3}        | \\frac13
          1/2 \\text{ or } 0.5   | 0.5, 1/2
          12:30                  | 12:30
          0.1\\overline{6}       | 1/6
          .\\overline{27}        | \\frac{3}{11}
          \\frac{10!}{8!}        | 90
          2 \\cdot 3!            | 12
          \\frac{1+i}{2}         | 0.5+0.5i
          -i\\sqrt{3}            | -\\sqrt3 i
          \\begin{pmatrix} 1 \\\\ 2 \\\\ \\end{pmatrix} | \\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}
          3:4                    | 3 : 4
          10:15 \\text{ a.m.}    | 10:15 a.m.
          """)
  void same_equal(String given, String expected) {
    assertTrue(AnswerChecker.same(given, expected), given + " vs " + expected);
    assertTrue(AnswerChecker.same(expected, given) || expected.length() == 1, "the other way");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          771                    | 770
          -770                   | 770
          77                     | 770
          770, 771               | 770
          770 or 771             | 770
          1,234                  | 1,235
          0.33                   | 1/3
          0.3334                 | 1/3
          3.14                   | \\pi
          1/1000000              | 2/1000000
          0.000001               | 0.000002
          12345678901234567890   | 12345678901234567891
          2x                     | 2
          x                      | 1
          x^2                    | x^3
          X                      | x+1
          5 cm                   | 5 m
          5 cm                   | 5 cm^2
          5 apples               | 5 oranges
          50%                    | 0.05
          (1, 2)                 | (2, 1)
          (1, 2)                 | (1, 2, 3)
          \\{1, 2\\}             | \\{1, 3\\}
          \\{1, 1\\}             | \\{1, 2\\}
          [1, 2]                 | (1, 2)
          [1, 2)                 | (1, 2]
          (1,2) \\cup (3,4)      | (1,2)
          1, 2                   | 12
          \\pm 2                 | 2
          A                      | B
          ABCD                   | A
          A or B                 | A
          yes                    | no
          \\infty                | -\\infty
          1/0                    | 0
          0/0                    | 1
          9^{9^{9^9}}            | 1
          1011_2                 | 1011_3
          x = 5                  | 6
          3+4=8                  | 7
          ''                     | 770
          770                    | ''
          \\frac{3}{4}           | \\frac{4}{3}
          1\\frac{1}{2}          | 11/2
          2\\frac{3}{4}          | \\frac{6}{4}
          \\sqrt{2}              | \\sqrt{3}
          2\\sqrt{3}             | 3\\sqrt{2}
          2^{-3}                 | -8
          3.0 \\times 10^8       | 3.0 \\times 10^7
          1.2e-4                 | 1.2e4
          10 km                  | 10 m
          3 hours                | 3 minutes
          12\\text{ cm}^3        | 12\\text{ cm}^2
          \\$5                   | \\$50
          12.5\\%                | 0.0125
          33%                    | 1/3
          x=5                    | y=6
          x=5                    | -5
          (x,y) = (1,2)          | (2,1)
          x=1, x=3               | 1, 2
          \\pm 3                 | \\pm 2
          \\{-1, 0, 1\\}         | \\{0, 1\\}
          (0, \\infty)           | [0, \\infty)
          (-\\infty, -2] \\cup [2, \\infty) | (-\\infty, -2) \\cup (2, \\infty)
          [\\frac{1}{2}, 1]      | [0.5, 2]
          \\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix} | \\begin{pmatrix} 1 & 3 \\\\ 2 & 4 \\end{pmatrix}
          \\begin{pmatrix} 1 & 2 \\end{pmatrix} | \\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}
          (A)                    | (C)
          AB                     | A
          \\text{Tuesday}        | Thursday
          true                   | false
          even                   | odd
          10110_2                | 10111_2
          1A3_{16}               | 1A3
          120_3                  | 120_{10}
          6-5i                   | 6+5i
          2x+1                   | 2x-1
          7!                     | 7
          0.1\\overline{6}       | 0.\\overline{16}
          3!!                    | 6
          i                      | 1
          i^2                    | i
          3+2i                   | 2+3i
          3+2i                   | (3, 2)
          \\begin{vmatrix} 1 & 2 \\\\ 3 & 4 \\end{vmatrix} | \\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}
          10:15 \\text{ a.m.}    | 10:15 p.m.
          (x,y) = (1,2)          | (x,y) = (1,3)
          3:4                    | 4:3
          30^\\circ              | 60^\\circ
          0.\\overline{3}        | 0.3
          0.1                    | 1/9
          one                    | 2
          \\emptyset             | 0
          \\log_2 8              | \\log_3 8
          """)
  void same_different(String given, String expected) {
    assertFalse(AnswerChecker.same(given, expected), given + " vs " + expected);
    assertFalse(AnswerChecker.same(expected, given), "the other way");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      nullValues = "-",
      textBlock =
          """
          so \\boxed{770}.                                     | 770
          \\boxed{1} then \\boxed{\\frac{1}{2}}                | \\frac{1}{2}
          \\boxed{\\{1, 2\\}} is it                            | \\{1, 2\\}
          \\boxed{\\boxed{5}}                                  | 5
          \\boxed 7 is it                                      | 7
          \\fbox{8}                                            | 8
          \\boxed{9} but \\boxed{10                            | 9
          Put it within \\boxed{}. The answer is 4.            | 4
          \\boxed{3} The final answer is 4                     | 3
          The final answer is $5$. I hope it is correct.       | 5
          The final answer is: 6. The answer: 7                | 6
          **Final Answer**: 12                                 | 12
          Answer: C                                            | C
          **Answer:** \\(\\frac{1}{3}\\)                       | \\frac{1}{3}
          the answer is 3.5 metres. Or not.                    | 3.5 metres
          first answer: 1, last answer: 2                      | 2
          It is $x=3$ or $y = 4$ then                          | y = 4
          It costs $5 and then $6 in all                       | $6
          It takes 3 days, 4 hours                             | 4
          Twelve -7/8 of it                                    | -7/8
          unboxed{5} is no command                             | 5
          nothing at all                                       | -
          <think>\\boxed{1}</think> It is \\boxed{2}           | 2
          <think>\\boxed{1}                                    | -
          <think> \\boxed{1} </think> 3                        | 3
          """)
  void find_inText(String completion, String expected) {
    assertEquals(expected, AnswerFinder.find(completion).orElse(null));
  }

  @Test
  void find_displayedAndOnTheNextLine() {
    assertEquals("42", AnswerFinder.find("The final answer is:\n$$42$$").orElseThrow());
    assertEquals("42", AnswerFinder.find("**Answer:**\n\n\\[\n42\n\\]").orElseThrow());
    assertEquals("42", AnswerFinder.find("Answer:\n42\nbye 7").orElseThrow());
  }

  @Test
  void check_rewardCountsBoxedOnly() {
    assertTrue(AnswerChecker.REWARD.check("\\boxed{770}", "770").correct());
    assertFalse(AnswerChecker.REWARD.check("The final answer is 770", "770").correct());
    assertNull(AnswerChecker.REWARD.check("770", "770").given());
    assertFalse(AnswerChecker.REWARD.check("\\boxed{770, 771}", "770").correct());
    assertTrue(AnswerChecker.EVALUATION.check("It is 770.", "770").correct());
    assertEquals("770", AnswerChecker.EVALUATION.check("It is 770.", "770").given());
    assertFalse(AnswerChecker.EVALUATION.check("", "770").correct());
    assertFalse(AnswerChecker.REWARD.check("<think>\\boxed{770}", "770").correct());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "(", "{", "\\boxed{", "\\frac{", "\\sqrt", "1,111", "$x", "\\(", "\\[ ", "9^", "-",
            "answer:",
        "\\text{", "a ", "1 ", "((1,2),", "boxed", "*", "1+", "\\pm 1", "<think>", "[0,", "\\\\",
            "="
      })
  void check_hostileText_endsSoon(String part) {
    for (String text :
        List.of(
            part.repeat(40_000),
            "\\boxed{" + part.repeat(900) + "}",
            "\\boxed{" + part.repeat(300) + "1" + ")".repeat(300) + "}")) {
      assertTimeoutPreemptively(
          Duration.ofSeconds(20), () -> AnswerChecker.EVALUATION.check(text, "1234567"));
    }
  }
}
