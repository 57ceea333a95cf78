package io.tercel.trainer.distill;

import ai.djl.ndarray.types.Shape;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.kernels.format.Tensor;
import io.tercel.server.UserException;
import io.tercel.server.cli.TerminalProgress;
import io.tercel.server.model.ModelLocator;
import io.tercel.server.text.Tokenizer;
import io.tercel.trainer.data.TrainingSet;
import io.tercel.trainer.distill.DistillOptions.Objective;
import io.tercel.trainer.qat.QatModel;
import io.tercel.trainer.qat.RowLoss;
import io.tercel.trainer.qat.TokenBatch;
import io.tercel.trainer.qat.TokenBatch.Example;
import io.tercel.trainer.run.MicroBatches;
import io.tercel.trainer.run.RunCurves;
import io.tercel.trainer.run.RunCurves.Curve;
import io.tercel.trainer.share.Publication;
import io.tercel.trainer.share.ServedStudent;
import io.tercel.trainer.share.TrainingMetrics;
import io.tercel.trainer.student.Learner;
import io.tercel.trainer.student.StudentOptions;
import io.tercel.trainer.student.StudentRun;
import io.tercel.trainer.torch.Parameter;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Distillation or fine-tuning: batches, and what each of their tokens teaches. */
final class Distiller implements Learner {
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
              List.of(new Curve("greedy_length", "mean"))));

  private final StudentOptions options;
  private final int window;
  private final StudentRun run;
  private final QatModel student;
  private final Tokenizer tokenizer;
  private final TrainingSet data;
  private final @Nullable Teacher teacher;
  private final @Nullable TeacherStates states;
  private final @Nullable Parameter teacherHead;
  private final Arena arena = Arena.ofShared();
  private final @Nullable HeldOut heldOut;
  private int prepared; // steps whose examples the teacher has seen

  Distiller(DistillOptions distill, StudentOptions options, StudentRun run) throws IOException {
    this.options = options;
    this.run = run;
    this.student = run.student();
    window = distill.window();
    prepared = run.stepsDone();
    tokenizer = Tokenizer.open(options.student());
    data =
        TrainingSet.open(
            options.trainingData().withMaxLength(distill.maxLength()), tokenizer, LOGGER::info);
    boolean kd = distill.objective() == Objective.KD;
    Path from =
        kd
            ? ModelLocator.locate("--teacher", require(distill.teacher), TerminalProgress::hub)
            : null;
    teacher = from == null ? null : Teacher.open(from);
    states =
        teacher == null
            ? null
            : new TeacherStates(
                teacher,
                run.folder().directory(),
                distill.teacherCacheBytes(),
                options.optimizer().microTokens());
    teacherHead = teacher == null ? null : headOf(teacher, require(from));
    heldOut = HeldOut.open(run, options, distill.maxLength(), tokenizer);
  }

  private static <T> T require(@Nullable T value) {
    if (value == null) {
      throw new IllegalStateException("options were not checked");
    }
    return value;
  }

  /** The student's own, where that is frozen and the same; else a copy. */
  private Parameter headOf(Teacher teacher, Path from) {
    if (teacher.config().vocabSize() != student.config().vocabSize()) {
      throw new UserException(
          "--teacher: %s has a vocabulary of %d, the student one of %d; they must be the same"
              .formatted(from, teacher.config().vocabSize(), student.config().vocabSize()));
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

  @Override
  public String step(int step, ObjectNode line) throws IOException {
    long start = System.nanoTime();
    runTeacherAhead(step);
    long taught = System.nanoTime();
    List<Example> examples = data.batch(step, options.optimizer().batch());
    double rate = run.optimizer().rate(step);
    double loss = accumulate(examples);
    double norm = run.optimizer().step(step);
    Publication publication = run.publish();
    long tokens = examples.stream().mapToLong(example -> example.tokens().length).sum();
    double seconds = (System.nanoTime() - start) / 1e9;
    line.put("loss", loss).put("lr", rate).put("gradient_norm", norm).put("tokens", tokens);
    line.put("tokens_per_second", Math.round(tokens / seconds)).put("seconds", round(seconds));
    if (states != null) {
      line.put("teacher_seconds", round((taught - start) / 1e9));
    }
    if (publication != null) {
      line.put("version", publication.version()).put("codes_flipped", publication.codesFlipped());
      line.put("pause_ms", round(publication.pauseNanos() / 1e6));
    }
    ServedStudent served = run.served();
    if (served != null) {
      served
          .metrics()
          .stepped(new TrainingMetrics.Step(step + 1, loss, tokens / seconds, rate, norm));
    }
    return String.format(Locale.ROOT, "loss %.5f, %.0f tokens/s", loss, tokens / seconds);
  }

  @Override
  public void evaluate(ObjectNode line) {
    if (heldOut != null) {
      heldOut.describe(line);
    }
  }

  @Override
  public List<RunCurves.Picture> curves() {
    return CURVES;
  }

  private static double round(double value) {
    return Math.round(value * 1e4) / 1e4;
  }

  /** Has the teacher see the examples of the next steps, a window at a time. */
  private void runTeacherAhead(int step) throws IOException {
    if (states == null || step < prepared) {
      return;
    }
    List<Example> examples = new ArrayList<>();
    int start = step / window * window;
    int end = Math.min(run.steps(), start + window);
    for (int s = start; s < end; s++) {
      examples.addAll(data.batch(s, options.optimizer().batch()));
    }
    states.prepare(examples);
    prepared = end;
  }

  private double accumulate(List<Example> examples) {
    double total = examples.stream().mapToDouble(Example::totalWeight).sum();
    double loss = 0;
    for (List<Example> part : MicroBatches.of(examples, options.optimizer().microTokens())) {
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

  @Override
  public void close() throws IOException {
    data.close();
    tokenizer.close();
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
