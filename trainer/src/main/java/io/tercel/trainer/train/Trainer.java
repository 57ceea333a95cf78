package io.tercel.trainer.train;

import io.tercel.kernels.format.ModelConfig;
import io.tercel.kernels.format.ModelConfig.Architecture;
import io.tercel.server.text.Tokenizer;
import io.tercel.trainer.problems.Family;
import io.tercel.trainer.problems.Partition;
import io.tercel.trainer.problems.Problem;
import io.tercel.trainer.problems.ProblemMix;
import io.tercel.trainer.qat.ModelDirectory;
import io.tercel.trainer.qat.QatModel;
import io.tercel.trainer.qat.RowLoss;
import io.tercel.trainer.qat.TokenBatch;
import io.tercel.trainer.qat.TokenBatch.Example;
import io.tercel.trainer.run.RunCurves;
import io.tercel.trainer.run.RunLog;
import io.tercel.trainer.run.RunState;
import io.tercel.trainer.torch.AdamW;
import io.tercel.trainer.torch.Schedule;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One run of a recipe from scratch by cross-entropy. Its folder holds {@code model/}, a Hugging
 * Face directory as of the last checkpoint, {@code training.safetensors} to resume from, {@code
 * log.jsonl}, curves, and the recipe as it was run.
 */
final class Trainer implements AutoCloseable {
  static final String MODEL = "model";
  private static final Logger LOGGER = LoggerFactory.getLogger(Trainer.class);
  private static final List<RunCurves.Picture> CURVES =
      List.of(
          new RunCurves.Picture(
              "loss",
              "Loss per token",
              "loss",
              true,
              List.of(
                  new RunCurves.Curve("loss", "training"),
                  new RunCurves.Curve("held_out_loss", "held out"))),
          new RunCurves.Picture(
              "accuracy",
              "Held-out responses that match word for word",
              "fraction",
              false,
              List.of(new RunCurves.Curve("held_out_exact", "all"))));
  private static final int VOCABULARY_SAMPLE = 20_000;
  private static final int WORD_AT_LEAST = 4;

  private final Recipe recipe;
  private final Path directory;
  private final ProblemMix mix;
  private final Tokenizer tokenizer;
  private final QatModel model;
  private final AdamW optimizer;
  private final TrainingData data;
  private final List<Problem> heldOut;
  private int step;

  /** What is done after each step. */
  interface Listener {
    void stepped(int stepsDone, double loss, double tokensPerSecond);
  }

  Trainer(Recipe recipe, Path directory) throws IOException {
    this.recipe = recipe;
    this.directory = directory;
    mix = ProblemMix.of(recipe.families());
    heldOut = mix.distinct(recipe.seed(), Partition.HELD_OUT, recipe.heldOut());
    WordTokenizer words = WordTokenizer.of(sample(), WORD_AT_LEAST);
    words.write(directory.resolve(MODEL), recipe.format(), recipe.model().positions());
    tokenizer = Tokenizer.open(directory.resolve(MODEL));
    model = QatModel.random(config(words), recipe.seed());
    optimizer = AdamW.of(model.parameters(), recipe.weightDecay());
    data = new TrainingData(recipe, mix, tokenizer);
  }

  /** Training texts, for their words. */
  private List<String> sample() {
    List<String> texts = new ArrayList<>();
    for (int i = 0; i < VOCABULARY_SAMPLE; i++) {
      Problem problem = mix.draw(recipe.seed(), Partition.TRAINING, i, Family.FULL);
      // a system message is rare, but its words are still words
      texts.add(
          recipe.format().prompt("You are a helpful assistant.", List.of(), problem.question()));
      texts.add(recipe.format().response(problem));
    }
    return texts;
  }

  private ModelConfig config(WordTokenizer words) {
    Recipe.Shape shape = recipe.model();
    return new ModelConfig(
        Architecture.QWEN3,
        shape.hidden(),
        shape.ffn(),
        shape.layers(),
        shape.heads(),
        shape.kvHeads(),
        shape.headDim(),
        words.size(),
        1e-6f,
        shape.ropeTheta(),
        shape.positions(),
        true,
        List.of(words.id(PromptFormat.END)));
  }

  QatModel model() {
    return model;
  }

  int stepsDone() {
    return step;
  }

  /** Goes on from the folder's checkpoint. */
  void resume() {
    step = RunState.load(directory.resolve(RunState.FILE), optimizer);
  }

  /** Trains to the end. */
  void run(Listener listener) throws IOException {
    RunLog log = RunLog.open(directory.resolve(RunLog.FILE), step);
    while (step < recipe.steps()) {
      long start = System.nanoTime();
      List<Example> examples = data.batch(step);
      double rate = beginStep();
      double loss = accumulate(examples);
      double norm = optimizer.step(rate, recipe.clip());
      step++;
      long tokens = examples.stream().mapToLong(example -> example.tokens().length).sum();
      double speed = tokens * 1e9 / (System.nanoTime() - start);
      log.append(
          RunLog.line(step)
              .put("loss", loss)
              .put("lr", rate)
              .put("gradient_norm", norm)
              .put("tokens", tokens)
              .put("tokens_per_second", Math.round(speed)));
      boolean last = step == recipe.steps();
      if (step % recipe.evaluateEvery() == 0 || last) {
        log.append(Evaluation.of(model, data, heldOut).line(step));
      }
      if (step % recipe.saveEvery() == 0 || last) {
        save(log);
      }
      listener.stepped(step, loss, speed);
    }
  }

  /** The learning rate of the step; at a stage's first step the optimizer is made fresh. */
  private double beginStep() {
    int within = step;
    int stage = 0;
    while (within >= recipe.stages().get(stage).steps()) {
      within -= recipe.stages().get(stage++).steps();
    }
    if (within == 0) {
      optimizer.reset();
    }
    Recipe.Stage now = recipe.stages().get(stage);
    return new Schedule(now.rate(), now.steps(), recipe.warmup(), recipe.finalRate()).rate(within);
  }

  private double accumulate(List<Example> examples) {
    double total = TokenBatch.of(examples).totalWeight();
    int parts = Math.min(recipe.microBatches(), examples.size());
    double loss = 0;
    for (int part = 0; part < parts; part++) {
      int from = examples.size() * part / parts;
      int to = examples.size() * (part + 1) / parts;
      TokenBatch batch = TokenBatch.of(examples.subList(from, to));
      loss += model.backward(batch, RowLoss.crossEntropy(total));
    }
    return loss;
  }

  private void save(RunLog log) throws IOException {
    ModelDirectory.write(model, directory.resolve(MODEL), recipe.dtype());
    // last, for it is what a resumed run believes
    RunState.save(directory.resolve(RunState.FILE), optimizer, step);
    try {
      RunCurves.draw(log, directory, CURVES);
    } catch (RuntimeException | LinkageError e) {
      LOGGER.warn("no curves: {}", e.toString());
    }
  }

  @Override
  public void close() {
    model.close();
    tokenizer.close();
  }
}
