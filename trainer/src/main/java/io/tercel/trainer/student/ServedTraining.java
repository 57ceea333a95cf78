package io.tercel.trainer.student;

import io.tercel.kernels.format.CheckpointException;
import io.tercel.server.UserException;
import io.tercel.server.cli.Command;
import io.tercel.trainer.api.TrainingRuns;
import io.tercel.trainer.run.TrainingRun;
import io.tercel.trainer.share.ServedStudent;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.function.Supplier;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import picocli.CommandLine;
import picocli.CommandLine.Model.OptionSpec;

/** Runs on a model that is served, started one after another by whoever may steer the server. */
final class ServedTraining implements TrainingRuns {
  private static final Logger LOGGER = LoggerFactory.getLogger(ServedTraining.class);
  private static final Pattern FOLDER = Pattern.compile("[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}");

  /** What the server has decided, or says itself. */
  private static final Set<String> DECIDED =
      Set.of(
          "--serve",
          "--grpc-port",
          "--api-key",
          "--admin-key",
          "--max-num-seqs",
          "--help",
          "--version");

  private final Path root;
  private final Path model;
  private final Supplier<ServedStudent> served;
  private @Nullable TrainingRun current;
  private @Nullable Thread thread;

  /**
   * @param root where the runs' folders go
   * @param model what was served at first
   * @param served what is served; asked for at the first run
   */
  ServedTraining(Path root, Path model, Supplier<ServedStudent> served) {
    this.root = root;
    this.model = model;
    this.served = served;
  }

  @Override
  public synchronized @Nullable TrainingRun current() {
    return current;
  }

  @Override
  public synchronized TrainingRun start(Wish wish) {
    awaitLast();
    StudentCommand command = command(wish);
    CompletableFuture<TrainingRun> begun = new CompletableFuture<>();
    command.in(new StudentCommand.Host(served.get(), begun::complete));
    Thread running =
        Thread.ofPlatform().name("training").unstarted(() -> carryOut(wish, command, begun));
    thread = running;
    running.start();
    try {
      TrainingRun run = begun.get();
      current = run;
      return run;
    } catch (ExecutionException e) {
      throw e.getCause() instanceof UserException user ? user : new IllegalStateException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new UserException("the server ends", e);
    }
  }

  /** A run that has ended may still be closing its files. */
  private void awaitLast() {
    Thread last = thread;
    TrainingRun run = current;
    if (last == null || !last.isAlive()) {
      return;
    }
    if (run == null || !run.status().ended()) {
      throw new UserException("a run is under way already: wait for its end, or cancel it");
    }
    try {
      last.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new UserException("the server ends", e);
    }
  }

  private static void carryOut(
      Wish wish, StudentCommand command, CompletableFuture<TrainingRun> begun) {
    try {
      command.call();
    } catch (UserException | CheckpointException e) {
      LOGGER.warn("{}: {}", wish.command(), e.getMessage());
      begun.completeExceptionally(new UserException(String.valueOf(e.getMessage()), e));
    } catch (Exception | Error e) { // a thread has nobody above it; the model is served on
      LOGGER.error("{} has failed", wish.command(), e);
      begun.completeExceptionally(new UserException(wish.command() + " has failed: " + e, e));
    }
  }

  /** With all that it was told, checked. */
  private StudentCommand command(Wish wish) {
    if (!FOLDER.matcher(wish.folder()).matches()) {
      throw new UserException(
          "folder: a name for the run's folder, of letters, digits, '.', '_' and '-', no '.' first");
    }
    StudentCommand command = find(wish.command());
    CommandLine line = new CommandLine(command).setExpandAtFiles(false);
    line.setOut(new PrintWriter(new StringWriter()));
    List<String> words = new ArrayList<>(wish.arguments());
    String student = wish.student();
    words.add("--student=" + (student == null ? model : Path.of(student)));
    words.add("--out=" + root.resolve(wish.folder()));
    if (wish.resume()) {
      words.add("--resume");
    }
    CommandLine.ParseResult parsed;
    try {
      parsed = line.parseArgs(words.toArray(String[]::new)); // refuses what is said twice
    } catch (CommandLine.ParameterException e) {
      throw new UserException("arguments: " + e.getMessage(), e);
    }
    for (OptionSpec option : parsed.matchedOptionsSet()) {
      if (DECIDED.contains(option.longestName())) {
        throw new UserException(
            "arguments: " + option.longestName() + " is not for a run on a server to say");
      }
    }
    return command;
  }

  private static StudentCommand find(String name) {
    return Command.named(name)
        .filter(StudentCommand.class::isInstance)
        .map(StudentCommand.class::cast)
        .orElseThrow(() -> new UserException("command: " + name + "; distill or grpo"));
  }

  /** Has a run that is under way saved and ended. */
  void end() throws InterruptedException {
    Thread last;
    synchronized (this) {
      last = thread;
      TrainingRun run = current;
      if (run != null && !run.status().ended()) {
        run.cancel();
      }
    }
    if (last != null) {
      last.join();
    }
  }
}
