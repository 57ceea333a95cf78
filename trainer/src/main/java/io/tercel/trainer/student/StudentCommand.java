package io.tercel.trainer.student;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.server.cli.Command;
import io.tercel.trainer.qat.QatModel;
import io.tercel.trainer.run.RunFolder;
import io.tercel.trainer.run.RunProgress;
import io.tercel.trainer.run.StopSignal;
import io.tercel.trainer.run.TrainingRun;
import io.tercel.trainer.share.ServedStudent;
import io.tercel.trainer.share.StudentServing;
import io.tercel.trainer.torch.Parameter;
import io.tercel.trainer.torch.Torch;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Mixin;

/** A command that trains a quantized model, on its weights as they are served. */
public abstract class StudentCommand implements Command {
  /** The exit code after SIGTERM, as shells have it. */
  private static final int TERMINATED = 143;

  @Mixin private StudentOptions options = new StudentOptions();

  @Mixin private StudentServing serving = new StudentServing();

  private @Nullable Host host;

  @CommandLine.Spec
  @SuppressWarnings("NullAway.Init") // picocli sets it
  private CommandLine.Model.CommandSpec spec;

  /** For subclasses. */
  protected StudentCommand() {}

  /** What all that train are told. */
  protected final StudentOptions options() {
    return options;
  }

  /**
   * Where a run takes place that was not started by a process of its own.
   *
   * @param served what answers; it takes over the student before the first step
   * @param told of the run, once it is being prepared
   */
  record Host(ServedStudent served, Consumer<TrainingRun> told) {
    /** The type of keys and values that it was started with. */
    String cache() {
      return served.running().plan().kv().type().label();
    }
  }

  /** Has the run take place in a server. */
  final void in(Host server) {
    host = server;
    options.cache(server.cache());
  }

  /** What is trained, as far as defaults go by it. */
  protected record Kind(boolean small, boolean fourBit) {}

  /** What goes for the options of all where they are left open. */
  protected abstract StudentOptions.Defaults defaults(Kind kind) throws IOException;

  /**
   * Checks the command's own options, once those of all are complete.
   *
   * @throws io.tercel.server.UserException that names the first one that is wrong
   */
  protected abstract void check();

  /**
   * Adds the command's own options that decide what comes out, to what a run's folder remembers.
   */
  protected abstract void describe(ObjectNode settings);

  /** Updates of the optimizer in a step. */
  protected int updates() {
    return 1;
  }

  /** Whether the student must answer even if nobody but training asks it. */
  protected abstract boolean asksStudent();

  /** What the student learns from. */
  protected abstract Learner learner(StudentRun run) throws IOException;

  @Override
  public final Integer call() throws IOException {
    Torch.use(options.device());
    try (QatModel student = QatModel.loadQuantized(options.student())) {
      long weights = student.parameters().stream().mapToLong(Parameter::size).sum();
      boolean fourBit = student.precision().inputs() == 4;
      options.complete(defaults(new Kind(options.optimizer().small(weights), fourBit)));
      check();
      student.cacheBits(options.cacheBits(fourBit)).train(options.parts());
      ObjectNode settings = new ObjectMapper().createObjectNode().put("command", spec.name());
      options.describe(settings, fourBit);
      describe(settings);
      RunFolder folder = RunFolder.open(options.out(), options.resume(), settings);
      try (StopSignal stop = StopSignal.listen()) {
        return train(student, folder, stop, options.cacheLabel(fourBit));
      }
    }
  }

  private int train(QatModel student, RunFolder folder, StopSignal stop, String cache)
      throws IOException {
    TrainingRun shown = new TrainingRun(folder, options.optimizer().steps(), stop);
    Host in = host;
    if (in != null) {
      in.told.accept(shown);
      return train(student, folder, stop, shown, in.served);
    }
    try (ServedStudent served = serve(cache, shown)) {
      return train(student, folder, stop, shown, served);
    }
  }

  private int train(
      QatModel student,
      RunFolder folder,
      StopSignal stop,
      TrainingRun shown,
      @Nullable ServedStudent served)
      throws IOException {
    try (shown) { // ends before its server does
      shown.carryOut(() -> carryOut(student, folder, stop, served));
    }
    PrintWriter out = spec.commandLine().getOut();
    boolean finished = shown.finished();
    if (finished) {
      out.println("The model is in " + folder.resolve(RunFolder.MODEL));
    } else {
      out.printf(
          "Stopped after step %d; --resume goes on from %s%n",
          shown.status().stepsDone(), folder.directory());
    }
    out.flush();
    return finished ? 0 : TERMINATED;
  }

  private void carryOut(
      QatModel student, RunFolder folder, StopSignal stop, @Nullable ServedStudent served)
      throws IOException {
    StudentRun run = new StudentRun(options, folder, student, updates(), served, host != null);
    try (Learner learner = learner(run);
        RunProgress progress = RunProgress.start(spec.name(), run.steps(), run.stepsDone())) {
      run.run(learner, progress, stop::asked);
    }
  }

  private @Nullable ServedStudent serve(String cache, TrainingRun shown) {
    return serving.asked() || asksStudent() ? serving.open(options.student(), cache, shown) : null;
  }
}
