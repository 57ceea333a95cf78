package io.tercel.trainer.train;

import io.tercel.kernels.format.DType;
import io.tercel.server.UserException;
import java.io.IOException;
import java.io.InputStream;
import java.io.StringReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * All that a training run depends on, as read from a properties file: of the trainer's own by name,
 * or any. A key that is missing, unknown or out of range is a {@link UserException}.
 *
 * @param families weights of the families of problems
 * @param curriculum fractions of the first stage at which the level of difficulty rises
 * @param promptWeight what a token of the prompt counts against one of the response
 * @param microBatches parts that a batch is computed in
 */
record Recipe(
    Shape model,
    Map<String, Double> families,
    PromptFormat format,
    List<Stage> stages,
    List<Double> curriculum,
    int batch,
    int microBatches,
    int warmup,
    double finalRate,
    double weightDecay,
    double clip,
    double promptWeight,
    int heldOut,
    int evaluateEvery,
    int saveEvery,
    long seed,
    DType dtype) {
  private static final List<String> BUNDLED = List.of("bundled", "specimen", "tiny");

  /** Of the decoder. */
  record Shape(
      int hidden,
      int ffn,
      int layers,
      int heads,
      int kvHeads,
      int headDim,
      double ropeTheta,
      int positions) {}

  /** Steps with a fresh optimizer and a schedule of their own. */
  record Stage(int steps, double rate) {}

  Recipe {
    families = Map.copyOf(families);
    stages = List.copyOf(stages);
    curriculum = List.copyOf(curriculum);
  }

  int steps() {
    return stages.stream().mapToInt(Stage::steps).sum();
  }

  /** Reads a recipe by its bundled name or its path. */
  static Recipe read(String nameOrFile) {
    try (InputStream bundled =
        BUNDLED.contains(nameOrFile)
            ? Recipe.class.getResourceAsStream("/recipes/" + nameOrFile + ".properties")
            : null) {
      if (bundled != null) {
        return parse(nameOrFile, new String(bundled.readAllBytes(), StandardCharsets.UTF_8));
      }
      Path file = Path.of(nameOrFile);
      if (!Files.isRegularFile(file)) {
        throw new UserException(
            nameOrFile + ": no such recipe; give a file or one of " + String.join(", ", BUNDLED));
      }
      return parse(nameOrFile, Files.readString(file));
    } catch (IOException e) {
      throw new UserException(nameOrFile + ": unreadable: " + e.getMessage(), e);
    }
  }

  static Recipe parse(String where, String text) {
    Properties properties = new Properties();
    try {
      properties.load(new StringReader(text));
    } catch (IOException | IllegalArgumentException e) {
      throw new UserException(where + ": malformed: " + e.getMessage(), e);
    }
    return new Reader(where, properties).read();
  }

  Recipe withSeed(long value) {
    return new Recipe(
        model,
        families,
        format,
        stages,
        curriculum,
        batch,
        microBatches,
        warmup,
        finalRate,
        weightDecay,
        clip,
        promptWeight,
        heldOut,
        evaluateEvery,
        saveEvery,
        value,
        dtype);
  }

  /** With the stages and the warm-up scaled to so many steps in all. */
  Recipe withSteps(int total) {
    List<Stage> scaled = new ArrayList<>();
    int left = total;
    for (int i = 0; i < stages.size(); i++) {
      Stage stage = stages.get(i);
      boolean last = i == stages.size() - 1;
      int share = last ? left : (int) Math.round((double) total * stage.steps / steps());
      share = Math.max(1, Math.min(left, share));
      scaled.add(new Stage(share, stage.rate));
      left -= share;
    }
    if (left < 0 || scaled.stream().anyMatch(stage -> stage.steps < 1)) {
      throw new UserException(total + " steps are too few for " + stages.size() + " stages");
    }
    return new Recipe(
        model,
        families,
        format,
        scaled,
        curriculum,
        batch,
        microBatches,
        (int) Math.round((double) warmup * total / steps()),
        finalRate,
        weightDecay,
        clip,
        promptWeight,
        heldOut,
        evaluateEvery,
        saveEvery,
        seed,
        dtype);
  }

  /** As a file that reads back as this recipe. */
  String text() {
    Map<String, Object> lines = new LinkedHashMap<>();
    lines.put("model.hidden", model.hidden);
    lines.put("model.ffn", model.ffn);
    lines.put("model.layers", model.layers);
    lines.put("model.heads", model.heads);
    lines.put("model.kvHeads", model.kvHeads);
    lines.put("model.headDim", model.headDim);
    lines.put("model.ropeTheta", model.ropeTheta);
    lines.put("model.positions", model.positions);
    new TreeMap<>(families).forEach((name, weight) -> lines.put("family." + name, weight));
    lines.put("format", format.name().toLowerCase(java.util.Locale.ROOT));
    lines.put("stages", joined(stages.stream().map(s -> s.steps + ":" + s.rate).toList()));
    lines.put("curriculum", joined(curriculum));
    lines.put("batch", batch);
    lines.put("microBatches", microBatches);
    lines.put("warmup", warmup);
    lines.put("finalRate", finalRate);
    lines.put("weightDecay", weightDecay);
    lines.put("clip", clip);
    lines.put("promptWeight", promptWeight);
    lines.put("heldOut", heldOut);
    lines.put("evaluateEvery", evaluateEvery);
    lines.put("saveEvery", saveEvery);
    lines.put("seed", seed);
    lines.put("dtype", dtype);
    StringBuilder text = new StringBuilder();
    lines.forEach((key, value) -> text.append(key).append('=').append(value).append('\n'));
    return text.toString();
  }

  private static String joined(List<?> values) {
    return String.join(",", values.stream().map(Object::toString).toList());
  }

  /** One file's keys, taken one by one. */
  private static final class Reader {
    private final String where;
    private final Map<String, String> left = new TreeMap<>();

    Reader(String where, Properties properties) {
      this.where = where;
      new TreeSet<>(properties.stringPropertyNames())
          .forEach(key -> left.put(key, properties.getProperty(key).strip()));
    }

    Recipe read() {
      Recipe recipe =
          new Recipe(
              shape(),
              families(),
              format(),
              stages(),
              curriculum(),
              integer("batch", 1, 65_536, null),
              integer("microBatches", 1, 65_536, 1),
              integer("warmup", 0, 1_000_000, 100),
              number("finalRate", 0, 1, 0.02),
              number("weightDecay", 0, 10, 0.01),
              number("clip", 1e-9, 1e9, 1.0),
              number("promptWeight", 0, 1, 0.05),
              integer("heldOut", 1, 100_000, 200),
              integer("evaluateEvery", 1, 1_000_000, 100),
              integer("saveEvery", 1, 1_000_000, 100),
              Long.parseLong(taken("seed", "1", "-?[0-9]{1,18}")),
              DType.valueOf(taken("dtype", "BF16", "F32|F16|BF16")));
      if (!left.isEmpty()) {
        throw refuse("unknown key " + left.keySet().iterator().next());
      }
      if (recipe.microBatches > recipe.batch) {
        throw refuse("microBatches is more than batch");
      }
      return recipe;
    }

    private Shape shape() {
      Shape shape =
          new Shape(
              integer("model.hidden", 1, 1 << 16, null),
              integer("model.ffn", 1, 1 << 18, null),
              integer("model.layers", 1, 1024, null),
              integer("model.heads", 1, 1024, null),
              integer("model.kvHeads", 1, 1024, null),
              integer("model.headDim", 2, 1024, null),
              number("model.ropeTheta", 1, 1e12, 1e6),
              integer("model.positions", 1, 1 << 24, 32_768));
      if (shape.heads % shape.kvHeads != 0 || shape.headDim % 2 != 0) {
        throw refuse("model.heads must be a multiple of model.kvHeads, and model.headDim even");
      }
      return shape;
    }

    private Map<String, Double> families() {
      Map<String, Double> weights = new TreeMap<>();
      for (String key : List.copyOf(left.keySet())) {
        if (key.startsWith("family.")) {
          weights.put(key.substring("family.".length()), number(key, 0, 1e9, null));
        }
      }
      return weights;
    }

    private PromptFormat format() {
      return PromptFormat.parse(taken("format", "chat", "chat|tight"));
    }

    private List<Stage> stages() {
      List<Stage> stages = new ArrayList<>();
      String pattern = "[0-9]{1,8}:[0-9.eE-]{1,20}";
      for (String part : taken("stages", null, pattern + "(," + pattern + ")*").split(",", -1)) {
        String[] pair = part.split(":", -1);
        double rate = parse("stages", pair[1]);
        if (Integer.parseInt(pair[0]) < 1 || !(rate > 0)) {
          throw refuse("stages has " + part + "; expected STEPS:RATE above 0");
        }
        stages.add(new Stage(Integer.parseInt(pair[0]), rate));
      }
      return stages;
    }

    private List<Double> curriculum() {
      String text = taken("curriculum", "", "([0-9.]+(,[0-9.]+)?)?");
      List<Double> fractions = new ArrayList<>();
      for (String part : text.isEmpty() ? new String[0] : text.split(",", -1)) {
        fractions.add(parse("curriculum", part));
      }
      return fractions;
    }

    private int integer(String key, int from, int to, @Nullable Integer otherwise) {
      String otherText = otherwise == null ? null : otherwise.toString();
      long value = Long.parseLong(taken(key, otherText, "-?[0-9]{1,18}"));
      if (value < from || value > to) {
        throw refuse(key + " is " + value + "; expected " + from + " to " + to);
      }
      return (int) value;
    }

    private double number(String key, double from, double to, @Nullable Double otherwise) {
      String otherText = otherwise == null ? null : otherwise.toString();
      double value = parse(key, taken(key, otherText, "[0-9.eE+-]{1,30}"));
      if (!(value >= from && value <= to)) {
        throw refuse(key + " is " + value + "; expected " + from + " to " + to);
      }
      return value;
    }

    private double parse(String key, String text) {
      try {
        return Double.parseDouble(text);
      } catch (NumberFormatException e) {
        throw new UserException(where + ": " + key + " has " + text + ", which is no number", e);
      }
    }

    private String taken(String key, @Nullable String otherwise, String pattern) {
      String value = left.remove(key);
      if (value == null) {
        if (otherwise == null) {
          throw refuse(key + " is missing");
        }
        return otherwise;
      }
      if (!value.matches(pattern)) {
        throw refuse(key + " is malformed: " + value);
      }
      return value;
    }

    private UserException refuse(String problem) {
      return new UserException(where + ": " + problem);
    }
  }
}
