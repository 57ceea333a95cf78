package io.tercel.kernels.memory;

import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.format.PackedMatrix;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * A folder with quantized matrices as they lie in memory, so that a checkpoint is packed once and
 * read the next time. It holds nothing that could not be made again, so whatever is wrong with it
 * costs time and never an error.
 *
 * <p>Files are named by the checkpoint's fingerprint, {@link Checkpoint#fingerprint}, and the
 * head's type; they appear whole, by renaming.
 */
public final class PackedCache {
  /** The folder in a model's directory. */
  public static final String FOLDER = ".tercel";

  /** Packing less takes less time than is worth a file. */
  static final long LEAST_BYTES = 64L << 20;

  private static final Duration ABANDONED = Duration.ofDays(1);

  private final @Nullable Path folder;
  private final boolean own;

  private PackedCache(@Nullable Path folder, boolean own) {
    this.folder = folder;
    this.own = own;
  }

  /** None: everything is packed anew. */
  public static PackedCache off() {
    return new PackedCache(null, false);
  }

  /**
   * The folder {@code .tercel} in a model's directory. Where it can't be written there is none, and
   * what belongs to an older state of the model is deleted from it.
   */
  public static PackedCache beside(Path model) {
    return new PackedCache(model.resolve(FOLDER), true);
  }

  /** A folder that several models may share; nothing is deleted from it. */
  public static PackedCache in(Path folder) {
    return new PackedCache(folder, false);
  }

  /** What a load finds of its own here; null if nothing is to be found or kept. */
  @Nullable Entry entry(
      Checkpoint checkpoint, LmHeadType headType, WeightPlan plan, LoadProgress progress) {
    if (folder == null) {
      return null;
    }
    String fingerprint;
    try {
      fingerprint = checkpoint.fingerprint();
    } catch (UncheckedIOException e) {
      progress.warn("packed weights are not kept: " + e.getMessage());
      return null;
    }
    PackedFile.Layout layout = new PackedFile.Layout(fingerprint, plan);
    if (layout.isEmpty() || own && layout.size() < LEAST_BYTES) {
      return null;
    }
    return new Entry(folder, own, fingerprint, headType, layout);
  }

  /** The file of one checkpoint and head, whether it is there or not. */
  static final class Entry {
    private final Path folder;
    private final boolean own;
    private final String fingerprint;
    private final Path path;
    private final PackedFile.Layout layout;

    private Entry(
        Path folder,
        boolean own,
        String fingerprint,
        LmHeadType headType,
        PackedFile.Layout layout) {
      this.folder = folder;
      this.own = own;
      this.fingerprint = fingerprint;
      this.path = folder.resolve(prefix() + headType.label() + ".bin");
      this.layout = layout;
    }

    private String prefix() {
      return "packed-" + fingerprint.substring(0, 32) + "-";
    }

    Path path() {
      return path;
    }

    /** The file; null if there is none, or none that can be used, which is told. */
    @Nullable PackedFile open(LoadProgress progress) {
      try {
        return PackedFile.open(path, layout);
      } catch (NoSuchFileException e) {
        return null;
      } catch (IOException e) {
        progress.warn("%s is of no use, packing anew: %s".formatted(path, e.getMessage()));
        return null;
      }
    }

    /**
     * Writes the file, unless the checkpoint has changed since it was opened. That it can't be
     * written is told, and an error to nobody.
     */
    void write(
        Checkpoint checkpoint,
        Map<String, PackedMatrix> matrices,
        @Nullable RoundingLoss loss,
        LoadProgress progress) {
      Path temporary = folder.resolve("packing-" + UUID.randomUUID());
      try {
        Files.createDirectories(folder);
        long free = Files.getFileStore(folder).getUsableSpace();
        if (free < layout.size()) {
          throw new IOException(
              "it takes %d MiB, and %d are free".formatted(layout.size() >> 20, free >> 20));
        }
        try {
          PackedFile.write(temporary, layout, matrices, loss);
          if (!checkpoint.unchanged() || !checkpoint.fingerprint().equals(fingerprint)) {
            throw new IOException("the checkpoint has changed meanwhile");
          }
          Files.move(temporary, path, StandardCopyOption.ATOMIC_MOVE);
        } finally {
          Files.deleteIfExists(temporary);
        }
        sweep();
        progress.note("packed weights kept in " + path);
      } catch (IOException | UncheckedIOException e) {
        String message = "packed weights are not kept in %s: %s".formatted(folder, e);
        if (own && !Files.isWritable(Files.isDirectory(folder) ? folder : model())) {
          progress.note(message);
        } else {
          progress.warn(message);
        }
      }
    }

    private Path model() {
      Path model = folder.getParent();
      return model == null ? folder : model;
    }

    /** Deletes what was packed from other states of the model, and what was never finished. */
    private void sweep() throws IOException {
      if (!own) {
        return;
      }
      try (DirectoryStream<Path> files =
          Files.newDirectoryStream(folder, "{packed-*.bin,packing-*}")) {
        for (Path file : files) {
          String name = file.getFileName().toString();
          boolean old = name.startsWith("packed-") && !name.startsWith(prefix());
          Instant changed = Files.getLastModifiedTime(file).toInstant();
          boolean abandoned =
              name.startsWith("packing-") && changed.isBefore(Instant.now().minus(ABANDONED));
          if (old || abandoned) {
            Files.deleteIfExists(file);
          }
        }
      }
    }
  }
}
