package io.tercel.trainer.student;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.trainer.run.RunCurves.Picture;
import java.io.IOException;
import java.util.List;

/** What a student learns from, and how a step of it goes. */
public interface Learner extends AutoCloseable {
  /**
   * Moves the student by one step, and {@linkplain StudentRun#publish publishes} it.
   *
   * @param step of all steps, from 0 on
   * @param line of the log, to be filled
   * @return what is said of it beside the progress, such as the loss
   * @throws ArithmeticException if a loss or a gradient is no number
   */
  String step(int step, ObjectNode line) throws IOException;

  /**
   * Tries the student on what it doesn't learn from.
   *
   * @param line of the log, to be filled; stays as it is where there is nothing to try it on
   */
  void evaluate(ObjectNode line);

  /** Of the log, in the run's folder. */
  List<Picture> curves();

  @Override
  void close() throws IOException;
}
