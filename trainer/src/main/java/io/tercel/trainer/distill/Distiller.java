package io.tercel.trainer.distill;

import ai.djl.ndarray.types.Shape;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.kernels.format.Tensor;
import io.tercel.kernels.memory.NonFiniteWeightsException;
import io.tercel.server.UserException;
import io.tercel.server.text.Tokenizer;
import io.tercel.trainer.data.TrainingSet;
import io.tercel.trainer.distill.DistillOptions.Objective;
import io.tercel.trainer.qat.QatModel;
import io.tercel.trainer.qat.QuantizedDirectory;
import io.tercel.trainer.qat.RowLoss;
import io.tercel.trainer.qat.TokenBatch;
import io.tercel.trainer.qat.TokenBatch.Example;
import io.tercel.trainer.run.MicroBatches;
import io.tercel.trainer.run.RunCurves;
import io.tercel.trainer.run.RunCurves.Curve;
import io.tercel.trainer.run.RunFolder;
import io.tercel.trainer.run.RunLog;
import io.tercel.trainer.run.StudentOptimizer;
import io.tercel.trainer.share.Publication;
import io.tercel.trainer.share.ServedStudent;
import io.tercel.trainer.share.StudentTensors;
import io.tercel.trainer.share.TrainingMetrics;
import io.tercel.trainer.torch.Parameter;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A run of distillation or fine-tuning: batches, losses, steps, and after each step the student's
 * codes and scales in the weights that are served.
 */
final class Distiller implements AutoCloseable {
  private static final Logger LOGGER = LoggerFactory.getLogger(Distiller.class);
  private static final List<RunCurves.Picture> CURVES =
      List.of(
          new RunCurves.Picture(
              "loss",
              "Loss per token",
              "nats",
              true,
              List.of(new Curve("loss", "training"), new Curve("held_out_loss", "held out"))),
          new RunCurves.Picture(
              "accuracy",
              "Greedy answers of the served student",
              "share",
              false,
              List.of(new Curve("accuracy", "right"), new Curve("cut_share", "cut off"))),
          new RunCurves.Picture(
              "length",
              "Length of answers",
              "tokens",
              false,
              List.of(new Curve("mean_length", "mean"))));

  private final DistillOptions options;
  private final RunFolder folder;
  private final Tokenizer tokenizer;
  private final QatModel student;
  private final StudentOptimizer optimizer;
  private final TrainingSet data;
  private final @Nullable Teacher teacher;
  private final @Nullable TeacherStates states;
  private final @Nullable Parameter teacherHead;
  private final Arena arena = Arena.ofShared();
  private final @Nullable ServedStudent served;
  private final @Nullable StudentTensors shared;
  private final @Nullable HeldOut heldOut;
  private int step;
  private int lastSaved;
  private int prepared; // steps whose examples the teacher has seen

  /** What is told after each step. */
  interface Listener {
    void stepped(int stepsDone, double loss, double tokensPerSecond);
  }

  /**
   * @param served answers from the student meanwhile, or null
   */
  Distiller(
      DistillOptions options,
      RunFolder folder,
      QatModel student,
      Tokenizer tokenizer,
      @Nullable ServedStudent served)
      throws IOException {
    this.options = options;
    this.folder = folder;
    this.student = student;
    this.tokenizer = tokenizer;
    this.served = served;
    optimizer = new StudentOptimizer(student, options.optimizer);
    lastSaved = step = folder.restore(optimizer.adam());
    prepared = step;
    data = TrainingSet.open(options.trainingData(), tokenizer, LOGGER::info);
    boolean kd = options.objective() == Objective.KD;
    teacher = kd ? Teacher.open(require(options.teacher)) : null;
    states =
        teacher == null
            ? null
            : new TeacherStates(
                teacher,
                folder.directory(),
                options.teacherCacheBytes(),
                options.optimizer.microTokens());
    teacherHead = teacher == null ? null : headOf(teacher);
    heldOut = HeldOut.open(options, tokenizer);
    shared = served == null ? null : new StudentTensors(student);
    if (served != null && shared != null) {
      served.share(shared.all());
      if (step > 0) {
        shared.refresh();
        served.publish();
      }
    }
  }

  private static <T> T require(@Nullable T value) {
    if (value == null) {
      throw new IllegalStateException("options were not checked");
    }
    return value;
  }

  /** The student's own, where that is frozen and the same; else a copy. */
  private Parameter headOf(Teacher teacher) {
    if (teacher.config().vocabSize() != student.config().vocabSize()) {
      throw new UserException(
          "--teacher: %s has a vocabulary of %d, the student one of %d; they must be the same"
              .formatted(
                  options.teacher, teacher.config().vocabSize(), student.config().vocabSize()));
    }
    Tensor head = teacher.head();
    Parameter own = student.headWeight();
    if (!own.trained() && same(head, own)) {
      return own;
    }
    Parameter copy =
        new Parameter(
                "teacher.lm_head",
                arena,
                teacher.config().vocabSize(),
                teacher.config().hiddenSize())
            .trained(false);
    copy.set(head.toFloats());
    return copy;
  }

  private static boolean same(Tensor tensor, Parameter parameter) {
    if (tensor.elements() != parameter.size()) {
      return false;
    }
    for (int i = 0; i < parameter.size(); i++) {
      if (tensor.floatAt(i) != parameter.get(i)) {
        return false;
      }
    }
    return true;
  }

  int stepsDone() {
    return step;
  }

  /**
   * Trains to the end, or until it is asked to stop, which leaves a checkpoint.
   *
   * @throws UserException in one line: a loss that is no number, a checkpoint that can't be written
   */
  void run(Listener listener, BooleanSupplier stop) throws IOException {
    RunLog log = folder.openLog(step);
    int last = options.optimizer.steps();
    if (log.lines().isEmpty()) {
      evaluate(log); // where it starts from
    }
    while (step < last && !stop.getAsBoolean()) {
      takeStep(log, listener);
      if (step % options.evalEvery() == 0 || step == last) {
        evaluate(log);
      }
      if (step % options.saveEvery() == 0 || step == last || stop.getAsBoolean()) {
        folder.save(optimizer.adam(), step, lastSaved);
        lastSaved = step;
        draw(log);
      }
    }
    if (step == last) {
      QuantizedDirectory.write(student, options.student, folder.resolve(RunFolder.MODEL));
    }
  }

  private void takeStep(RunLog log, Listener listener) throws IOException {
    long start = System.nanoTime();
    runTeacherAhead();
    long taught = System.nanoTime();
    List<Example> examples = data.batch(step, options.optimizer.batch());
    double rate = optimizer.rate(step);
    double loss;
    double norm;
    Publication publication;
    try {
      loss = accumulate(examples);
      norm = optimizer.step(step);
      publication = publish();
    } catch (ArithmeticException | NonFiniteWeightsException e) {
      throw new UserException(
          "step %d: %s; lower --lr, or look at the data; %s"
              .formatted(step + 1, e.getMessage(), folder.lastGood(lastSaved)),
          e);
    }
    step++;
    long tokens = examples.stream().mapToLong(example -> example.tokens().length).sum();
    double seconds = (System.nanoTime() - start) / 1e9;
    ObjectNode line = RunLog.line(step).put("loss", loss).put("lr", rate);
    line.put("gradient_norm", norm).put("tokens", tokens);
    line.put("tokens_per_second", Math.round(tokens / seconds)).put("seconds", round(seconds));
    if (states != null) {
      line.put("teacher_seconds", round((taught - start) / 1e9));
    }
    if (publication != null) {
      line.put("version", publication.version()).put("codes_flipped", publication.codesFlipped());
      line.put("pause_ms", round(publication.pauseNanos() / 1e6));
    }
    log.append(line);
    if (served != null) {
      served.metrics().stepped(new TrainingMetrics.Step(step, loss, tokens / seconds, rate, norm));
    }
    listener.stepped(step, loss, tokens / seconds);
  }

  private static double round(double value) {
    return Math.round(value * 1e4) / 1e4;
  }

  /** Has the teacher see the examples of the next steps, a window at a time. */
  private void runTeacherAhead() throws IOException {
    if (states == null || step < prepared) {
      return;
    }
    List<Example> window = new ArrayList<>();
    int start = step / options.window() * options.window();
    int end = Math.min(options.optimizer.steps(), start + options.window());
    for (int s = start; s < end; s++) {
      window.addAll(data.batch(s, options.optimizer.batch()));
    }
    states.prepare(window);
    prepared = end;
  }

  private double accumulate(List<Example> examples) {
    double total = examples.stream().mapToDouble(Example::totalWeight).sum();
    double loss = 0;
    for (List<Example> part : MicroBatches.of(examples, options.optimizer.microTokens())) {
      loss += student.backward(TokenBatch.of(part), loss(part, total));
    }
    if (!Double.isFinite(loss)) {
      throw new ArithmeticException("the loss is " + loss);
    }
    return loss;
  }

  private RowLoss loss(List<Example> part, double total) {
    TeacherStates from = states;
    Parameter head = teacherHead;
    if (from == null || head == null) {
      return RowLoss.crossEntropy(total);
    }
    TeacherStates.Rows rows = from.rows(part);
    return RowLoss.divergence(
        (manager, first, count) ->
            manager
                .create(rows.floats(first, count), new Shape(count, head.shape().getLast()))
                .matMul(head.leaf(manager, false).transpose()),
        total);
  }

  private @Nullable Publication publish() {
    if (served == null || shared == null) {
      return null;
    }
    shared.refresh();
    return served.publish();
  }

  private void evaluate(RunLog log) throws IOException {
    if (heldOut != null) {
      log.append(heldOut.evaluate(step, student, served));
    }
  }

  private void draw(RunLog log) throws IOException {
    try {
      RunCurves.draw(log, folder.directory(), CURVES);
    } catch (RuntimeException | LinkageError e) {
      LOGGER.warn("no curves: {}", e.toString());
    }
  }

  @Override
  public void close() throws IOException {
    data.close();
    if (heldOut != null) {
      heldOut.close();
    }
    if (states != null) {
      states.close();
    }
    if (teacher != null) {
      teacher.close();
    }
    arena.close();
  }
}
