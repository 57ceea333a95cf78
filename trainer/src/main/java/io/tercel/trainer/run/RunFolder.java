package io.tercel.trainer.run;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.server.UserException;
import io.tercel.trainer.files.AtomicFile;
import io.tercel.trainer.torch.AdamW;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.Map;

/**
 * The folder of a training run: {@code settings.json}, the checkpoint {@code training.safetensors},
 * {@code log.jsonl}, curves, and {@code model/} in the end. A run is resumed with the settings it
 * began with.
 */
public final class RunFolder {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String SETTINGS = "settings.json";

  /** What comes out, below the folder. */
  public static final String MODEL = "model";

  private final Path directory;
  private final boolean resumed;
  private final JsonNode settings;
  private RunLog.Listener listener = RunLog.Listener.NONE;

  private RunFolder(Path directory, boolean resumed, JsonNode settings) {
    this.directory = directory;
    this.resumed = resumed;
    this.settings = settings;
  }

  /**
   * Begins a run, or goes on with one.
   *
   * @param resume whether there may be a run already
   * @throws UserException if there is a run and it may not be, or it began with other settings
   */
  public static RunFolder open(Path directory, boolean resume, ObjectNode settings)
      throws IOException {
    Path file = directory.resolve(SETTINGS);
    boolean begun = Files.isRegularFile(file);
    boolean saved = Files.isRegularFile(directory.resolve(RunState.FILE));
    if (begun && !resume && saved) {
      throw new UserException(
          directory + " holds a run already: give --resume to go on with it, or another folder");
    }
    if (begun && resume) {
      requireSame(file, settings);
    }
    try {
      Files.createDirectories(directory);
      AtomicFile.write(file, settings.toPrettyString() + "\n");
    } catch (IOException e) {
      throw new UserException(directory + ": cannot be written: " + e.getMessage(), e);
    }
    return new RunFolder(directory, resume && saved, settings.deepCopy());
  }

  private static void requireSame(Path file, ObjectNode settings) throws IOException {
    JsonNode before = JSON.readTree(Files.readAllBytes(file));
    JsonNode now = JSON.readTree(settings.toString());
    for (Iterator<Map.Entry<String, JsonNode>> it = now.fields(); it.hasNext(); ) {
      Map.Entry<String, JsonNode> setting = it.next();
      JsonNode was = before.path(setting.getKey());
      if (!was.equals(setting.getValue())) {
        throw new UserException(
            "%s: the run began with %s %s, not %s; a run is resumed with what it began with"
                .formatted(file, setting.getKey(), was, setting.getValue()));
      }
    }
  }

  public Path directory() {
    return directory;
  }

  /** What the run was told, as in {@code settings.json}. */
  public JsonNode settings() {
    return settings;
  }

  /** Says who is told of the log, once it is opened. */
  void listener(RunLog.Listener of) {
    listener = of;
  }

  /** The log, without the lines of steps beyond those done. */
  public RunLog openLog(int stepsDone) throws IOException {
    return RunLog.open(resolve(RunLog.FILE), stepsDone, listener);
  }

  /** A file of it. */
  public Path resolve(String name) {
    return directory.resolve(name);
  }

  /** Whether there is a checkpoint to go on from. */
  public boolean resumed() {
    return resumed;
  }

  /** Restores the checkpoint, if there is one; the steps done. */
  public int restore(AdamW optimizer) {
    return resumed ? RunState.load(resolve(RunState.FILE), optimizer) : 0;
  }

  /**
   * Replaces the checkpoint; if that fails the one before stays.
   *
   * @throws UserException that names the last good one
   */
  public void save(AdamW optimizer, int stepsDone, int lastSaved) {
    try {
      RunState.save(resolve(RunState.FILE), optimizer, stepsDone);
    } catch (IOException e) {
      throw new UserException(
          "%s: the checkpoint of step %d cannot be written: %s; %s"
              .formatted(directory, stepsDone, e.getMessage(), lastGood(lastSaved)),
          e);
    }
  }

  /** What there is to go on from. */
  public String lastGood(int lastSaved) {
    return lastSaved == 0
        ? "there is no checkpoint yet"
        : "the last good checkpoint is %s of step %d: --resume goes on from it"
            .formatted(resolve(RunState.FILE), lastSaved);
  }
}
