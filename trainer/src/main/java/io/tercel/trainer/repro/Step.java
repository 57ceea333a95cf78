package io.tercel.trainer.repro;

import io.tercel.server.cli.Command;
import io.tercel.trainer.files.AtomicFile;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;

/** One thing that a stage does. */
sealed interface Step {
  /** As one would type it. */
  String text();

  /**
   * Does it.
   *
   * @param out where its output goes
   * @return the exit status
   */
  int run(PrintWriter out) throws IOException;

  /**
   * A command of tercel, in this process.
   *
   * @param run the folder that it goes on in if it was stopped; null if it begins again
   */
  record Call(List<String> words, @Nullable Path run) implements Step {
    public Call {
      words = List.copyOf(words);
    }

    @Override
    public String text() {
      return "tercel " + String.join(" ", words);
    }

    @Override
    public int run(PrintWriter out) throws IOException {
      List<String> arguments = new ArrayList<>(words.subList(1, words.size()));
      if (run != null && Files.exists(run)) {
        arguments.add("--resume");
      }
      AtomicReference<Exception> failure = new AtomicReference<>();
      CommandLine line =
          new CommandLine(Command.named(words.getFirst()).orElseThrow()).setOut(out).setErr(out);
      line.setExecutionExceptionHandler(
          (e, _, _) -> {
            failure.set(e);
            return 1;
          });
      int code = line.execute(arguments.toArray(String[]::new));
      out.flush();
      Exception e = failure.get();
      return switch (e) {
        case null -> code;
        case IOException io -> throw io;
        case RuntimeException unchecked -> throw unchecked;
        default -> throw new IOException(e);
      };
    }
  }

  /** A copy of a folder's files. */
  record Copy(Path from, Path to) implements Step {
    @Override
    public String text() {
      return "copy " + from;
    }

    @Override
    public int run(PrintWriter out) throws IOException {
      Files.createDirectories(to);
      try (Stream<Path> files = Files.list(from)) {
        for (Path file : files.filter(Files::isRegularFile).toList()) {
          Files.copy(file, to.resolve(from.relativize(file)), StandardCopyOption.REPLACE_EXISTING);
        }
      }
      return 0;
    }
  }

  /** A model with scaled channels, see {@link RescaledChannels}. */
  record Rescale(Path from, Path to, double sigma, long seed) implements Step {
    @Override
    public String text() {
      return "rescale the channels of %s by exp(%s N(0, 1)), seed %d".formatted(from, sigma, seed);
    }

    @Override
    public int run(PrintWriter out) throws IOException {
      RescaledChannels.write(from, to, sigma, seed);
      return 0;
    }
  }

  /** Texts of random words out of a model's vocabulary, see {@link StrangeTexts}. */
  record RandomWords(Path model, Path to, int count, long seed) implements Step {
    @Override
    public String text() {
      return "write %d texts of random words of %s, seed %d".formatted(count, model, seed);
    }

    @Override
    public int run(PrintWriter out) throws IOException {
      StrangeTexts.write(model, to, count, seed);
      return 0;
    }
  }

  /** A file with a text. */
  record Write(Path file, String content) implements Step {
    @Override
    public String text() {
      return "write %s: %s".formatted(file, content.strip().replace('\n', ' '));
    }

    @Override
    public int run(PrintWriter out) throws IOException {
      AtomicFile.write(file, content);
      return 0;
    }
  }
}
