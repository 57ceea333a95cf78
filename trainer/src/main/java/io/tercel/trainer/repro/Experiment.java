package io.tercel.trainer.repro;

import io.tercel.trainer.repro.Step.Call;
import io.tercel.trainer.run.RunLog;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The stages from which tables are put together, by name; equal names are the same stage, so tables
 * share them.
 */
final class Experiment {
  private static final String FAMILIES = "parts,mod,wallet,sum,base";
  private static final long CHANNEL_SEED = 5;
  private static final int CALIBRATION_SEED = 5;
  private static final int TEST_SEED = 77;
  private static final long STRANGE_SEED = 9;

  private final Path stages;
  private final @Nullable Path given;
  private final Scale scale;
  private final double sigma;
  private final Map<String, Stage> known = new HashMap<>();

  /**
   * @param given the model in full precision; null to train one
   * @param sigma of its channels' logarithms; 0 leaves them
   */
  Experiment(Path out, @Nullable Path given, Scale scale, double sigma) {
    this.stages = out.resolve("stages");
    this.given = given;
    this.scale = scale;
    this.sigma = sigma;
  }

  /** What starts a stage that is rounded from the model. */
  enum Rounding {
    RTN("--method=rtn", "--sym"),
    GPTQ("--method=gptq"),
    AWQ("--method=awq"),
    QUAROT("--format=w4a4kv4", "--method=quarot"),
    FLATQUANT("--format=w4a4kv4", "--method=flatquant");

    private final List<String> options;

    Rounding(String... options) {
      this.options = List.of(options);
    }

    String id() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /** What texts are of. */
  enum Domain {
    /** Problems as the model is meant for. */
    OWN,
    /** Anything else. */
    STRANGE;

    private String suffix() {
      return this == OWN ? "" : "-of-strange";
    }
  }

  Scale scale() {
    return scale;
  }

  double sigma() {
    return sigma;
  }

  private Stage stage(String name, Supplier<Stage> make) {
    Stage found = known.get(name);
    if (found == null) {
      found = make.get();
      known.put(name, found);
    }
    return found;
  }

  private Path folder(String name) {
    return stages.resolve(name);
  }

  private Stage begun(String name, List<Stage> after, List<Step> steps) {
    return new Stage(name, folder(name), after, steps, false);
  }

  /** Training that goes on in the folder {@code run}. */
  private Stage trained(String name, List<Stage> after, List<String> words, Step... first) {
    Path run = folder(name).resolve("run");
    List<String> all = new ArrayList<>(words);
    all.add("--out=" + run);
    List<Step> steps = new ArrayList<>(List.of(first));
    steps.add(new Call(all, run));
    return new Stage(name, folder(name), after, steps, true);
  }

  /** The model as it was trained. */
  Stage source() {
    Path model = given;
    if (model != null) {
      Path to = folder("source").resolve("model");
      return stage("source", () -> begun("source", List.of(), List.of(new Step.Copy(model, to))));
    }
    return stage(
        "source",
        () -> {
          boolean smoke = scale.training.recipe().isEmpty();
          Path recipe = folder("source").resolve("recipe.properties");
          String named = smoke ? recipe.toString() : scale.training.recipe();
          List<String> words = List.of("train", "--recipe=" + named);
          return smoke
              ? trained("source", List.of(), words, new Step.Write(recipe, Scale.SMOKE_RECIPE))
              : trained("source", List.of(), words);
        });
  }

  /** The model that all is compared with: its channels rescaled, if that was asked for. */
  Stage full() {
    return sigma == 0
        ? source()
        : stage(
            "full",
            () -> {
              Path to = folder("full").resolve("model");
              return begun(
                  "full",
                  List.of(source()),
                  List.of(new Step.Rescale(source().model(), to, sigma, CHANNEL_SEED)));
            });
  }

  /** Problems to calibrate with, and held-out ones to be asked. */
  private Stage problems() {
    return stage(
        "problems",
        () ->
            begun(
                "problems",
                List.of(),
                List.of(
                    problems(calibration(), scale.measuring.samples(), CALIBRATION_SEED),
                    problems(test(), scale.measuring.problems(), TEST_SEED, "--held-out"))));
  }

  private static Call problems(Path out, int count, int seed, String... more) {
    List<String> words = new ArrayList<>(List.of("problems", "--family=" + FAMILIES));
    words.addAll(List.of("--n=" + count, "--seed=" + seed, "--out=" + out));
    words.addAll(List.of(more));
    return new Call(words, null);
  }

  private Path calibration() {
    return folder("problems").resolve("calibration.jsonl");
  }

  private Path test() {
    return folder("problems").resolve("test.jsonl");
  }

  /** Texts that the model has no business with: words of its vocabulary, at random. */
  private Stage strangeTexts() {
    return stage(
        "strange",
        () ->
            begun(
                "strange",
                List.of(source()),
                List.of(
                    new Step.RandomWords(
                        source().model(), strange(), scale.measuring.strange(), STRANGE_SEED))));
  }

  private Path strange() {
    return folder("strange").resolve("texts.jsonl");
  }

  /** The model rounded. */
  Stage rounded(Rounding how) {
    return rounded(how, Domain.OWN);
  }

  /** The model rounded by what it does on texts of a domain. */
  Stage rounded(Rounding how, Domain domain) {
    return rounded(how, domain, full(), how.id() + domain.suffix());
  }

  /** The model rounded as it was trained, without rescaled channels. */
  Stage roundedSource(Rounding how) {
    return sigma == 0 ? rounded(how) : rounded(how, Domain.OWN, source(), how.id() + "-as-trained");
  }

  private Stage rounded(Rounding how, Domain domain, Stage from, String name) {
    return stage(
        name,
        () -> {
          List<String> words = new ArrayList<>(List.of("quantize", "--model=" + from.model()));
          words.add("--out=" + folder(name).resolve("model"));
          words.addAll(how.options);
          if (how == Rounding.FLATQUANT) {
            words.add("--epochs=" + scale.training.epochs());
          }
          List<Stage> after = new ArrayList<>(List.of(from));
          if (how != Rounding.RTN) {
            if (domain == Domain.OWN) {
              after.add(problems());
              words.addAll(List.of("--self-traces", "--calibration=" + calibration()));
            } else {
              after.add(strangeTexts());
              words.add("--calibration=" + strange());
            }
            words.add("--calibration-samples=" + scale.measuring.samples());
          }
          return begun(name, after, List.of(new Call(words, null)));
        });
  }

  /** A rounded model that has learned from its teacher, or from the data. */
  Stage taught(Rounding start, String objective) {
    return taught(rounded(start), objective, Domain.OWN);
  }

  /** A rounded model that has learned on texts of a domain. */
  Stage taught(Stage student, String objective, Domain domain) {
    String name =
        "%s-%s%s".formatted(student.name(), objective, domain == Domain.OWN ? "" : "-on-strange");
    return stage(
        name,
        () -> {
          List<Stage> after = new ArrayList<>(List.of(student, full()));
          List<String> words = new ArrayList<>(List.of("distill", "--objective=" + objective));
          words.add("--student=" + student.model());
          if (objective.equals("kd")) {
            words.add("--teacher=" + full().model());
          }
          if (domain == Domain.OWN) {
            words.add("--data=problems:q");
          } else {
            after.add(strangeTexts());
            words.add("--data=" + strange());
          }
          words.add("--steps=" + scale.training.steps());
          words.add("--batch=" + scale.training.batch());
          words.addAll(evaluations(scale.training.steps()));
          if (student.name().equals(Rounding.RTN.id())) {
            words.add("--lr=5e-4"); // further to go: Table 6 has 20 times the rate from RTN
          }
          return trained(name, after, words);
        });
  }

  /** A run's accuracy on its way, for its curves: at the start and four times after. */
  private List<String> evaluations(int steps) {
    return List.of(
        "--eval-data=problems:" + FAMILIES,
        "--eval-every=" + Math.max(1, steps / 4),
        "--eval-count=" + scale.measuring.tried());
  }

  /** A model that has learned from rewards. */
  Stage rewarded(Stage start) {
    String name = start.name() + "-grpo";
    return stage(
        name,
        () -> {
          Scale.Rollouts how = scale.rollouts;
          List<String> words = new ArrayList<>(List.of("grpo", "--student=" + start.model()));
          words.add("--data=problems:" + FAMILIES);
          words.addAll(List.of("--steps=" + how.steps(), "--batch=" + how.batch()));
          words.addAll(List.of("--group=" + how.group(), "--updates=" + how.updates()));
          words.add("--max-tokens=" + how.maxTokens());
          words.addAll(evaluations(how.steps()));
          return trained(name, List.of(start), words);
        });
  }

  /** A model's answers to the held-out problems. */
  Stage asked(Stage model) {
    String name = "eval-" + model.name();
    return stage(
        name,
        () -> {
          List<String> words = new ArrayList<>(List.of("eval", "--model=" + model.model()));
          words.addAll(List.of("--data=" + test(), "--prompt-template={problem}"));
          words.add("--max-tokens=" + scale.measuring.maxTokens());
          words.add("--concurrency=64");
          List<String> greedy = new ArrayList<>(words);
          greedy.addAll(List.of("--greedy", "--out=" + greedy(name)));
          String seeds =
              scale.measuring.seeds().stream()
                  .map(String::valueOf)
                  .collect(Collectors.joining(","));
          words.addAll(List.of("--temperature=0.6", "--top-p=0.95", "--seeds=" + seeds));
          words.add("--out=" + sampled(name));
          return begun(
              name,
              List.of(model, problems()),
              List.of(new Call(greedy, null), new Call(words, null)));
        });
  }

  private Path greedy(String name) {
    return folder(name).resolve("greedy.jsonl");
  }

  private Path sampled(String name) {
    return folder(name).resolve("sampled.jsonl");
  }

  /** The log of a stage that was training. */
  static Path log(Stage trained) {
    return trained.folder().resolve("run").resolve(RunLog.FILE);
  }

  /** Where the greedy answers of an {@linkplain #asked asked} model lie. */
  Path greedyAnswers(Stage model) {
    return greedy("eval-" + model.name());
  }

  /** And those at a temperature of 0.6. */
  Path sampledAnswers(Stage model) {
    return sampled("eval-" + model.name());
  }
}
