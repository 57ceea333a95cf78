package io.tercel.trainer.eval;

import io.tercel.server.UserException;
import io.tercel.trainer.eval.code.CodeSuite;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * A folder of benchmarks as they are published: files, or folders of files, that are told by their
 * names. Of several files of a benchmark, those whose names begin with test count, if there are
 * any.
 */
final class SuiteFolder {
  private static final String LIVE_CODE_BENCH = "livecodebench";
  private static final Map<String, List<String>> MARKS = marks();
  private static final Pattern AIME = Pattern.compile("aime(?:20)?(2\\d)(?!\\d)");

  private final Path folder;
  private final SortedMap<String, List<Path>> files = new TreeMap<>();

  private static Map<String, List<String>> marks() {
    Map<String, List<String>> marks = new LinkedHashMap<>();
    marks.put("gsm8k", List.of("gsm8k", "gradeschoolmath"));
    marks.put("math-500", List.of("math500"));
    marks.put("gpqa-diamond", List.of("gpqadiamond"));
    marks.put(LIVE_CODE_BENCH, List.of("livecodebench", "codegenerationlite"));
    marks.put("aime", List.of("aime"));
    return marks;
  }

  private SuiteFolder(Path folder) {
    this.folder = folder;
  }

  /**
   * What a folder has.
   *
   * @throws UserException if it can't be read, or has no benchmark
   */
  static SuiteFolder read(Path folder) {
    SuiteFolder read = new SuiteFolder(folder);
    try (Stream<Path> inside = Files.walk(folder, 3)) {
      inside.filter(Files::isRegularFile).sorted().forEach(read::add);
    } catch (IOException e) {
      throw new UserException("--suite: " + folder + " can't be read: " + e.getMessage(), e);
    }
    if (read.files.isEmpty()) {
      throw new UserException(
          "--suite: no benchmark in %s: its files or their folders are named as published, such as"
                  .formatted(folder)
              + " gsm8k.jsonl, math-500/test.jsonl, aime-2024.jsonl, gpqa_diamond.csv,"
              + " livecodebench/test5.jsonl");
    }
    return read;
  }

  private void add(Path file) {
    String name = folder.relativize(file).toString().toLowerCase(Locale.ROOT);
    if (name.endsWith(".jsonl") || name.endsWith(".csv") || name.endsWith(".parquet")) {
      suite(name.replaceAll("[^a-z0-9]", ""))
          .ifPresent(suite -> files.computeIfAbsent(suite, _ -> new ArrayList<>()).add(file));
    }
  }

  /** The benchmark that a path's letters and digits speak of. */
  private static Optional<String> suite(String letters) {
    Matcher year = AIME.matcher(letters);
    if (year.find()) {
      return Optional.of("aime-20" + year.group(1));
    }
    return MARKS.entrySet().stream()
        .filter(entry -> entry.getValue().stream().anyMatch(letters::contains))
        .map(Map.Entry::getKey)
        .findFirst();
  }

  /** The names of what there is. */
  List<String> names() {
    return List.copyOf(files.keySet());
  }

  /**
   * Reads one benchmark.
   *
   * @throws UserException if there is none of the name, or a file can't be used
   */
  Suite suite(String name, boolean allowUnsandboxed) throws InterruptedException {
    List<Path> all = files.get(name);
    if (all == null) {
      throw new UserException(
          "--suite: no %s in %s, which has %s"
              .formatted(name, folder, String.join(", ", files.keySet())));
    }
    List<Path> chosen = chosen(all);
    if (name.equals(LIVE_CODE_BENCH)) {
      CodeSuite code = CodeSuite.open(chosen, allowUnsandboxed);
      return new Suite(name, code.problems(), code);
    }
    List<BenchmarkProblem> problems = new ArrayList<>();
    Map<String, Integer> seen = new HashMap<>();
    for (Path file : chosen) {
      for (BenchmarkProblem problem : Benchmark.read(file)) {
        String id = (chosen.size() > 1 ? file.getFileName() + ":" : "") + problem.id();
        int times = seen.merge(id, 1, Integer::sum);
        problems.add(
            new BenchmarkProblem(
                times == 1 ? id : id + "#" + times,
                problem.question(),
                problem.answer(),
                problem.family(),
                problem.selfContained()));
      }
    }
    return new Suite(name, problems, Judge.ANSWERS);
  }

  private static List<Path> chosen(List<Path> all) {
    List<Path> readable =
        all.stream()
            .filter(file -> !file.toString().toLowerCase(Locale.ROOT).endsWith(".parquet"))
            .toList();
    List<Path> files = readable.isEmpty() ? all : readable;
    List<Path> tests =
        files.stream()
            .filter(file -> String.valueOf(file.getFileName()).startsWith("test"))
            .toList();
    return tests.isEmpty() ? files : tests;
  }
}
