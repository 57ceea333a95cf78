package io.tercel.kernels.lint;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Finds in kernel sources what would make a result depend on the JIT, the hardware or the number of
 * threads. It reads text, comments and strings removed: coarse on purpose, as nothing in a kernel
 * should even look like these.
 */
public final class NumericsLint {
  private static final Pattern COMMENTS_AND_STRINGS =
      Pattern.compile(
          "/\\*.*?\\*/|//[^\\n]*|\"\"\".*?\"\"\"|\"(?:\\\\.|[^\"\\\\\\n])*\"|'(?:\\\\.|[^'\\\\])+'",
          Pattern.DOTALL);

  private static final String TRANSCENDENTAL =
      "(?:SIN|COS|TAN|ASIN|ACOS|ATAN|ATAN2|SINH|COSH|TANH|EXP|EXPM1|LOG|LOG10|LOG1P|POW|CBRT|HYPOT)";

  /** What is forbidden, and why. */
  private static final Map<String, Pattern> RULES =
      Map.of(
          "a hardware reduction: its order differs between the interpreter and C2",
          Pattern.compile(
              "\\breduceLanes(?:ToLong)?\\s*\\(\\s*(?:VectorOperators\\s*\\.\\s*)?(?:ADD|MUL)\\b"),
          "a transcendental of lanes: its bits differ between the interpreter and C2",
          Pattern.compile(
              "\\blanewise\\s*\\(\\s*(?:VectorOperators\\s*\\.\\s*)?"
                  + TRANSCENDENTAL
                  + "\\b|\\bVectorOperators\\s*\\.\\s*"
                  + TRANSCENDENTAL
                  + "\\b"),
          "an intrinsic of Math, which may differ from the interpreter's: StrictMath or our own",
          Pattern.compile(
              "(?<![\\w.])(?:java\\s*\\.\\s*lang\\s*\\.\\s*)?Math\\s*\\.\\s*"
                  + "(?:sin|cos|tan|asin|acos|atan|atan2|sinh|cosh|tanh|exp|expm1|log|log10|log1p"
                  + "|pow|cbrt|hypot)\\b"),
          "a static import of Math hides which one is meant",
          Pattern.compile("\\bimport\\s+static\\s+java\\.lang\\.Math\\b"),
          "a parallel stream: who sums what is not fixed",
          Pattern.compile(
              "\\.\\s*parallel(?:Stream)?\\s*\\(\\s*\\)|\\bparallel(?:Prefix|SetAll)\\b"));

  private NumericsLint() {}

  /** A line that breaks a rule. */
  public record Finding(String where, String code, String rule) {
    @Override
    public String toString() {
      return where + ": " + code + " (" + rule + ")";
    }
  }

  /** Findings in one source. */
  public static List<Finding> check(String name, String source) {
    String code = blank(source);
    List<Finding> findings = new ArrayList<>();
    RULES.forEach(
        (rule, pattern) -> {
          Matcher matcher = pattern.matcher(code);
          while (matcher.find()) {
            long line = code.substring(0, matcher.start()).chars().filter(c -> c == '\n').count();
            findings.add(new Finding(name + ":" + (line + 1), matcher.group(), rule));
          }
        });
    return findings;
  }

  /** Findings in all Java files below a directory. */
  public static List<Finding> check(Path directory) throws IOException {
    List<Finding> findings = new ArrayList<>();
    try (Stream<Path> files = Files.walk(directory)) {
      for (Path file : files.filter(f -> f.toString().endsWith(".java")).sorted().toList()) {
        findings.addAll(check(file.toString(), Files.readString(file)));
      }
    }
    return findings;
  }

  /** Spaces for comments and strings; lines stay where they are. */
  private static String blank(String source) {
    return COMMENTS_AND_STRINGS
        .matcher(source)
        .replaceAll(found -> found.group().replaceAll("[^\\n]", " "));
  }
}
