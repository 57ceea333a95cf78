package io.tercel.trainer.eval;

import io.tercel.server.UserException;
import io.tercel.trainer.eval.code.CodeSuite;
import io.tercel.trainer.files.DataFiles;
import io.tercel.trainer.files.ParquetLines;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
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
  private static final Map<String, List<String>> PUBLISHED = publishedSources();
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

  /** The paper's five; its AIME-120 is of 2022 to 2025, which no repository has alone. */
  private static Map<String, List<String>> publishedSources() {
    Map<String, List<String>> sources = new LinkedHashMap<>();
    sources.put("gsm8k", List.of("openai/gsm8k/main"));
    sources.put("math-500", List.of("HuggingFaceH4/MATH-500"));
    sources.put(
        "aime-120", List.of("AI-MO/aimo-validation-aime", "opencompass/AIME2025/aime2025-*.jsonl"));
    sources.put("gpqa-diamond", List.of("Idavidrein/gpqa/gpqa_diamond.csv"));
    sources.put(LIVE_CODE_BENCH, List.of("livecodebench/code_generation_lite/test*.jsonl"));
    return sources;
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

  /**
   * Benchmarks as their authors keep them on the hub, fetched if they are not in the cache.
   *
   * @param names of those that are wanted
   * @throws UserException if one can't be had
   */
  static SuiteFolder published(List<String> names, DataFiles.Hub hub) {
    SuiteFolder published = new SuiteFolder(Path.of("the hub"));
    for (String name : names) {
      List<Path> files = new ArrayList<>();
      for (String source : sources(name)) {
        files.addAll(DataFiles.find("--suite", source, "test", hub));
      }
      published.files.put(name, files);
    }
    return published;
  }

  /** Where a benchmark is on the hub. */
  private static List<String> sources(String name) {
    List<String> sources = PUBLISHED.get(name);
    if (sources == null) {
      throw new UserException(
          ("--suite: %s: no such folder, and of the hub there are %s; or name with --data the folder"
                  + " that has it")
              .formatted(name, String.join(", ", PUBLISHED.keySet())));
    }
    return sources.stream().map(source -> "hf://datasets/" + source).toList();
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
    return new Suite(name, Benchmark.read(chosen), Judge.ANSWERS);
  }

  private static List<Path> chosen(List<Path> all) {
    // the same rows may be there in two formats
    List<Path> lines = all.stream().filter(file -> !ParquetLines.named(file)).toList();
    List<Path> files = lines.isEmpty() ? all : lines;
    List<Path> tests =
        files.stream()
            .filter(file -> String.valueOf(file.getFileName()).startsWith("test"))
            .toList();
    return tests.isEmpty() ? files : tests;
  }
}
