package io.tercel.trainer.eval.code;

import io.tercel.server.UserException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Where Python programs of strangers run: in a process of their own without a network, with limits
 * on processor time, memory, files, processes and time, in an empty folder, with an empty
 * environment. Namespaces and limits are Linux's, by {@code unshare} and {@code prlimit}; as root,
 * a program runs as nobody. Whether that holds is tried when the sandbox is made.
 *
 * <p>A program still reads what its user may read, and what it writes elsewhere lasts: evaluate in
 * a container where that matters.
 */
final class Sandbox {
  private static final List<String> NEEDED = List.of("network", "processes", "memory");
  private static final List<String> NAMESPACES =
      List.of("unshare", "--map-root-user", "--net", "--pid", "--fork", "--kill-child", "--");
  private static final List<String> AS_NOBODY =
      List.of(
          "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs", "--");

  /** The first process of a namespace would ignore signals; so the shell is that. */
  private static final List<String> CHILD = List.of("sh", "-c", "\"$@\"; exit $?", "sh");

  private static final String PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

  private final List<String> launcher;
  private final String python;

  private Sandbox(List<String> launcher, String python) {
    this.launcher = launcher;
    this.python = python;
  }

  /**
   * How a run ended.
   *
   * @param output what was printed
   * @param fault why there is no result to compare; null if the program came to its end
   */
  record Outcome(String output, @Nullable String fault) {}

  /**
   * The strictest sandbox that this machine has.
   *
   * @param allowNone whether one will do that doesn't hold all a program must not do
   * @throws UserException if there is no Python, or no sandbox
   */
  static Sandbox find(boolean allowNone) throws InterruptedException {
    List<String> pythons = pythons();
    if (pythons.isEmpty()) {
      throw new UserException("programs can't be judged: there is no python3 on the path");
    }
    List<Sandbox> candidates = new ArrayList<>();
    for (List<String> launcher :
        List.of(joined(AS_NOBODY, NAMESPACES), NAMESPACES, List.of("unshare", "--net", "--"))) {
      pythons.forEach(python -> candidates.add(new Sandbox(launcher, python)));
    }
    for (Sandbox candidate : candidates) {
      if (candidate.refuses().containsAll(NEEDED)) {
        return candidate;
      }
    }
    if (!allowNone) {
      throw new UserException(
          "programs can't be judged safely: unshare and prlimit (util-linux, with user namespaces"
              + " allowed) don't hold them here; evaluate where they do, leave this suite out, or"
              + " add --allow-unsandboxed-code in a container that may be lost");
    }
    for (Sandbox candidate : candidates) {
      if (candidate.refuses().contains("network")) {
        return candidate;
      }
    }
    return new Sandbox(List.of(), pythons.getFirst());
  }

  private static List<String> joined(List<String> first, List<String> second) {
    return Stream.concat(first.stream(), second.stream()).toList();
  }

  /** The one on the path, and the system's, which nobody may run too. */
  private static List<String> pythons() throws InterruptedException {
    List<String> found = new ArrayList<>();
    for (String name : List.of("python3", "/usr/bin/python3")) {
      try {
        Process process =
            new ProcessBuilder(name, "-c", "import sys; print(sys.executable)")
                .redirectError(ProcessBuilder.Redirect.DISCARD)
                .start();
        String path =
            new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
        if (process.waitFor() == 0 && !path.isEmpty() && !found.contains(path)) {
          found.add(path);
        }
      } catch (IOException e) {
        // Not there.
      }
    }
    return found;
  }

  /** What the probe could not do in here. */
  private Set<String> refuses() throws InterruptedException {
    try {
      Outcome outcome = run(resource("probe.py"), null, "", ProcessLimits.USUAL);
      return outcome.fault() == null ? Set.of(outcome.output().strip().split(" ")) : Set.of();
    } catch (UserException e) {
      return Set.of(); // The launcher isn't there.
    }
  }

  /** Runs a program on an input. */
  Outcome run(String program, String input, ProcessLimits limits) throws InterruptedException {
    return run(resource("runner.py"), program, input, limits);
  }

  /** Calls a function of a program, or method of its Solution; the output is its result as JSON. */
  Outcome call(String program, String function, String input, ProcessLimits limits)
      throws InterruptedException {
    return run(resource("runner.py"), program, input, limits, function);
  }

  private Outcome run(
      String script,
      @Nullable String program,
      String input,
      ProcessLimits limits,
      String... arguments)
      throws InterruptedException {
    try {
      Path folder = Files.createTempDirectory("tercel-program");
      try {
        // Whoever the program runs as, the folder is its own.
        Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwxrwxrwx"));
        Files.writeString(folder.resolve("runner.py"), script);
        Files.writeString(folder.resolve("input.txt"), input);
        if (program != null) {
          Files.writeString(folder.resolve("solution.py"), program);
        }
        List<String> command = new ArrayList<>(launcher);
        command.addAll(limits.prlimit());
        command.addAll(CHILD);
        command.addAll(List.of(python, "-I", "-B", "runner.py"));
        command.addAll(List.of(arguments));
        return run(command, folder, limits);
      } finally {
        delete(folder);
      }
    } catch (IOException e) {
      throw new UserException("programs can't be run: " + e.getMessage(), e);
    }
  }

  private static Outcome run(List<String> command, Path folder, ProcessLimits limits)
      throws IOException, InterruptedException {
    ProcessBuilder builder = new ProcessBuilder(command).directory(folder.toFile());
    builder.environment().clear();
    builder.environment().put("PATH", PATH);
    builder.environment().put("HOME", folder.toString());
    builder.environment().put("TMPDIR", folder.toString());
    builder.environment().put("LANG", "C.UTF-8");
    builder.environment().put("PYTHONHASHSEED", "0");
    builder.environment().put("OPENBLAS_NUM_THREADS", "1");
    builder.redirectInput(folder.resolve("input.txt").toFile());
    builder.redirectError(ProcessBuilder.Redirect.DISCARD);
    Process process = builder.start();
    try {
      CompletableFuture<byte[]> output = reading(process.getInputStream(), limits.outputBytes());
      if (!process.waitFor(limits.wall().toMillis(), TimeUnit.MILLISECONDS)) {
        return new Outcome("", "out of time");
      }
      kill(process); // what it left behind would hold its output open
      byte[] bytes;
      try {
        bytes = output.get(2, TimeUnit.SECONDS);
      } catch (TimeoutException | ExecutionException e) {
        return new Outcome("", "leaves a process behind that holds its output");
      }
      if (bytes.length > limits.outputBytes()) {
        return new Outcome("", "prints too much");
      }
      int status = process.exitValue();
      String text = new String(bytes, StandardCharsets.UTF_8);
      return new Outcome(text, status == 0 ? null : fault(status));
    } finally {
      kill(process);
    }
  }

  /** The shell tells signals as 128 + n. */
  private static String fault(int status) {
    return switch (status) {
      case 128 + 24 -> "out of time"; // SIGXCPU
      case 128 + 9 -> "killed";
      default -> "fails with status " + status;
    };
  }

  /** One byte more than the bound at most; the rest is read and forgotten. */
  private static CompletableFuture<byte[]> reading(InputStream in, int most) {
    CompletableFuture<byte[]> read = new CompletableFuture<>();
    Thread.ofVirtual()
        .start(
            () -> {
              try (in) {
                byte[] bytes = in.readNBytes(most + 1);
                read.complete(bytes);
                in.transferTo(OutputStream.nullOutputStream());
              } catch (IOException e) {
                read.complete(new byte[0]);
              }
            });
    return read;
  }

  private static void kill(Process process) {
    process.descendants().forEach(ProcessHandle::destroyForcibly);
    process.destroyForcibly();
  }

  private static void delete(Path folder) {
    try (Stream<Path> inside = Files.walk(folder)) {
      for (Path path : inside.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(path);
      }
    } catch (IOException | UncheckedIOException e) {
      // A folder that the program made unreadable stays, in the system's folder for such.
    }
  }

  private static String resource(String name) {
    try (InputStream in = Sandbox.class.getResourceAsStream(name)) {
      if (in == null) {
        throw new IllegalStateException(name + " is not in the jar");
      }
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new IllegalStateException(name + " can't be read", e);
    }
  }
}
