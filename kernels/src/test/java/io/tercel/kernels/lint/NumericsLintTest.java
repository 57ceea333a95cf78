package io.tercel.kernels.lint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class NumericsLintTest {
  private static final Path KERNELS = Path.of("src/main/java/io/tercel/kernels");

  /** Where arithmetic is: no exceptions are needed, so there is no list of them. */
  @ParameterizedTest
  @ValueSource(strings = {"vector", "jit", "scalar", "ops", "model"})
  void kernels_areClean(String name) throws Exception {
    assertTrue(Files.isDirectory(KERNELS.resolve(name)), "not run in the module's directory");
    assertEquals(List.of(), NumericsLint.check(KERNELS.resolve(name)));
  }

  /** The other backend's kernels, once there are any. */
  @Test
  void tornado_isClean() throws Exception {
    for (Path place : List.of(Path.of("tornado/src/main/java"), KERNELS.resolve("tornado"))) {
      if (Files.isDirectory(place)) {
        assertEquals(List.of(), NumericsLint.check(place));
      }
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "float s = v.reduceLanes(VectorOperators.ADD);",
        "float s = v.reduceLanes(ADD);",
        "float s = v\n    .reduceLanes(\n        VectorOperators.MUL);",
        "float s = v.reduceLanes(ADD, mask);",
        "v = v.lanewise(VectorOperators.EXP);",
        "v = v.lanewise(TANH);",
        "v = v.lanewise(LOG, mask);",
        "v = v.lanewise(VectorOperators.POW, w);",
        "var op = VectorOperators.SIN;",
        "double e = Math.exp(x);",
        "double e = java.lang.Math.log(x);",
        "list.forEach(Math :: sqrt); x = y.map(Math\n.cos(z));",
        "import static java.lang.Math.exp;",
        "import static java.lang.Math.*;",
        "list.parallelStream().mapToDouble(x -> x).sum();",
        "IntStream.range(0, n).parallel().forEach(f);",
        "Arrays.parallelPrefix(x, Float::sum);",
        "/* fine */ double e = Math.pow(x, y); // not fine",
        "String s = \"/*\"; double e = Math.tan(x); /* */",
        "char c = '\"'; double e = Math.tan(x); char d = '\"';"
      })
  void check_badCode_isFound(String code) {
    List<NumericsLint.Finding> findings = NumericsLint.check("Bad.java", code);
    assertFalse(findings.isEmpty(), code);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "double e = StrictMath.exp(x);",
        "float e = Exp.exp(x); FloatVector f = VectorExp.exp(v);",
        "double r = Math.sqrt(x) + Math.fma(a, b, c) + Math.max(a, b) + Math.rint(x);",
        "// unlike Math.exp(x) and reduceLanes(ADD)\n/** nor {@link Math#log} or Math.log */ int i;",
        "String s = \"Math.exp(x)\"; String t = \"\"\"\n  v.lanewise(EXP)\n  \"\"\";",
        "v = v.lanewise(VectorOperators.LSHL, 13); int i = w.reduceLanes(VectorOperators.OR);",
        "float m = v.reduceLanes(VectorOperators.MAX);",
        "int logarithm = MyMath.log(x); double p = table.Math.pow;"
      })
  void check_goodCode_passes(String code) {
    assertEquals(List.of(), NumericsLint.check("Good.java", code));
  }

  @Test
  void check_saysWhere() {
    List<NumericsLint.Finding> findings =
        NumericsLint.check(
            "A.java", "/*\n\n*/ int i;\nfloat s = Math.exp(x) + v.reduceLanes(ADD);");
    List<String> places = new ArrayList<>();
    findings.forEach(f -> places.add(f.where()));
    assertEquals(List.of("A.java:4", "A.java:4"), places);
  }
}
