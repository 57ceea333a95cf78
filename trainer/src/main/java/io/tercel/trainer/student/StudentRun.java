package io.tercel.trainer.student;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.kernels.memory.NonFiniteWeightsException;
import io.tercel.server.UserException;
import io.tercel.trainer.qat.QatModel;
import io.tercel.trainer.qat.QuantizedDirectory;
import io.tercel.trainer.run.RunCurves;
import io.tercel.trainer.run.RunFolder;
import io.tercel.trainer.run.RunLog;
import io.tercel.trainer.run.RunProgress;
import io.tercel.trainer.run.StudentOptimizer;
import io.tercel.trainer.share.Publication;
import io.tercel.trainer.share.ServedStudent;
import io.tercel.trainer.share.StudentTensors;
import java.io.IOException;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The course of a student's training: steps, evaluations and checkpoints, and after each step the
 * student's codes and scales in the weights that are served.
 */
public final class StudentRun {
  private static final Logger LOGGER = LoggerFactory.getLogger(StudentRun.class);

  private final StudentOptions options;
  private final RunFolder folder;
  private final QatModel student;
  private final StudentOptimizer optimizer;
  private final @Nullable ServedStudent served;
  private final @Nullable StudentTensors shared;
  private int step;
  private int lastSaved;

  /**
   * Goes on from the folder's checkpoint, if there is one; whoever is served by the student is so
   * by what it had learned then.
   *
   * @param updates of the optimizer in each step
   * @param served null where nobody asks the student anything
   * @param replaced whether what is served may be something else than the student, and is replaced
   *     before the first step
   */
  StudentRun(
      StudentOptions options,
      RunFolder folder,
      QatModel student,
      int updates,
      @Nullable ServedStudent served,
      boolean replaced) {
    this.options = options;
    this.folder = folder;
    this.student = student;
    this.served = served;
    optimizer = new StudentOptimizer(student, options.optimizer(), updates);
    lastSaved = step = folder.restore(optimizer.adam());
    shared = served == null ? null : new StudentTensors(student);
    if (served != null && shared != null) {
      served.share(shared.all());
      if (step > 0 || replaced) {
        publish();
      }
    }
  }

  public RunFolder folder() {
    return folder;
  }

  public QatModel student() {
    return student;
  }

  public StudentOptimizer optimizer() {
    return optimizer;
  }

  /** Where the student answers; null where nobody asks it anything. */
  public @Nullable ServedStudent served() {
    return served;
  }

  /** Of the whole run. */
  public int steps() {
    return options.optimizer().steps();
  }

  /** Those before a resumption included. */
  public int stepsDone() {
    return step;
  }

  /** Puts what the student is now into service; null where it isn't served. */
  public @Nullable Publication publish() {
    if (served == null || shared == null) {
      return null;
    }
    shared.refresh();
    return served.publish();
  }

  /**
   * Trains to the end, or until it is asked to stop, which leaves a checkpoint.
   *
   * @throws UserException in one line: a loss that is no number, a checkpoint that can't be written
   */
  void run(Learner learner, RunProgress progress, BooleanSupplier stop) throws IOException {
    RunLog log = folder.openLog(step);
    int last = steps();
    if (log.lines().isEmpty()) {
      evaluate(learner, log); // where it starts from
    }
    while (step < last && !stop.getAsBoolean()) {
      String said = step(learner, log);
      progress.stepped(step, said);
      if (step % options.evalEvery() == 0 || step == last) {
        evaluate(learner, log);
      }
      if (step % options.saveEvery() == 0 || step == last || stop.getAsBoolean()) {
        folder.save(optimizer.adam(), step, lastSaved);
        lastSaved = step;
        draw(learner, log);
      }
    }
    if (step == last) {
      QuantizedDirectory.write(student, options.student(), folder.resolve(RunFolder.MODEL));
    }
  }

  private String step(Learner learner, RunLog log) throws IOException {
    ObjectNode line = RunLog.line(step + 1);
    String said;
    try {
      said = learner.step(step, line);
    } catch (ArithmeticException | NonFiniteWeightsException e) {
      throw new UserException(
          "step %d: %s; lower the rates, or look at the data; %s"
              .formatted(step + 1, e.getMessage(), folder.lastGood(lastSaved)),
          e);
    }
    step++;
    log.append(line);
    return said;
  }

  private void evaluate(Learner learner, RunLog log) throws IOException {
    ObjectNode line = RunLog.line(step);
    int named = line.size();
    learner.evaluate(line);
    if (line.size() > named) {
      log.append(line);
    }
  }

  private void draw(Learner learner, RunLog log) throws IOException {
    try {
      RunCurves.draw(log, folder.directory(), learner.curves());
    } catch (RuntimeException | LinkageError e) {
      LOGGER.warn("no curves: {}", e.toString());
    }
  }
}
