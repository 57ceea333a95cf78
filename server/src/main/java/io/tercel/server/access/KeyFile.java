package io.tercel.server.access;

import io.tercel.server.call.Keys;
import io.tercel.server.yaml.YamlException;
import io.tercel.server.yaml.YamlFile;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A file of keys with names and limits. Whatever has changed in it holds a second later: its bytes
 * are compared, since time and length say nothing of a file that was edited within a second or is
 * mounted from elsewhere. A bad file changes nothing, and says so once.
 */
public final class KeyFile implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(KeyFile.class);
  private static final Duration PERIOD = Duration.ofSeconds(1);

  /** An editor that writes in place is done by then. */
  private static final Duration SETTLING = Duration.ofMillis(100);

  private static final byte[] NOTHING = {};

  private final Path path;
  private final Keys keys;
  private final LongAdder loads = new LongAdder();
  private final LongAdder failures = new LongAdder();
  private volatile boolean good = true;
  private byte[] applied = NOTHING;
  private byte[] refused = NOTHING;
  private String complaint = "";
  private @Nullable Thread watch;

  /**
   * Of these keys; nothing is read yet.
   *
   * @param keys whose named ones are the file's
   */
  public KeyFile(Path path, Keys keys) {
    this.path = path;
    this.keys = keys;
  }

  /**
   * Reads it for the first time.
   *
   * @throws YamlException if it isn't there, or isn't as it should be
   */
  public void load() {
    byte[] bytes = bytes();
    apply(bytes);
    applied = bytes;
    warnOfReaders(path);
  }

  /** Has changes hold from now on; loaded before. */
  public void watch() {
    watch =
        Thread.ofVirtual()
            .name("key-file")
            .start(
                () -> {
                  while (!Thread.currentThread().isInterrupted()) {
                    LockSupport.parkNanos(PERIOD.toNanos());
                    check();
                  }
                });
  }

  /** Has what is in the file now hold, unless it is bad; never throws. */
  void check() {
    try {
      byte[] bytes = bytes();
      if (Arrays.equals(bytes, applied)) {
        good = true; // perhaps again
        refused = NOTHING;
        complaint = "";
      } else if (!Arrays.equals(bytes, refused)) {
        if (!Arrays.equals(bytes, again())) {
          return; // it is being written: a part of it may be whole YAML with fewer keys
        }
        refused = bytes; // a bad one is not read again and again
        apply(bytes);
        applied = bytes;
        good = true;
        complaint = "";
        log.info("keys: {} holds now, with {} keys", path, keys.holders().size());
        warnOfReaders(path);
      }
    } catch (YamlException e) {
      complain(String.valueOf(e.getMessage()));
    } catch (RuntimeException e) {
      log.error("keys: {} was not read", path, e);
      good = false;
    }
    keys.endExpired();
  }

  /** The file a moment later. */
  private byte[] again() {
    LockSupport.parkNanos(SETTLING.toNanos());
    return bytes();
  }

  private void complain(String message) {
    good = false;
    if (!message.equals(complaint)) {
      complaint = message;
      failures.increment();
      log.error("keys: {}; the keys from before go on", message);
    }
  }

  private void apply(byte[] bytes) {
    String name = String.valueOf(path.getFileName());
    try {
      keys.replaceNamed(KeyFields.read(name, bytes));
      loads.increment();
    } catch (IllegalArgumentException e) {
      throw new YamlException(name + ": " + e.getMessage());
    }
  }

  private byte[] bytes() {
    try (InputStream in = Files.newInputStream(path)) {
      byte[] bytes = in.readNBytes(YamlFile.MAX_BYTES + 1);
      if (bytes.length > YamlFile.MAX_BYTES) {
        throw new YamlException("%s is larger than %d bytes".formatted(path, YamlFile.MAX_BYTES));
      }
      return bytes;
    } catch (NoSuchFileException e) {
      throw new YamlException(path + " is not there");
    } catch (IOException e) {
      throw new YamlException(path + " can't be read: " + e.getMessage());
    }
  }

  /** Whether it says who else on this machine may read a file of secrets. */
  public static boolean warnOfReaders(Path file) {
    try {
      if (Files.getPosixFilePermissions(file).contains(PosixFilePermission.OTHERS_READ)) {
        log.warn("{} has keys in it and everybody on this machine may read it: chmod 600", file);
        return true;
      }
    } catch (UnsupportedOperationException | IOException e) {
      log.debug("no permissions of {}", file, e);
    }
    return false;
  }

  /** Whether the keys are those of the file as it is now. */
  public boolean good() {
    return good;
  }

  /** How often it was taken over. */
  public long loads() {
    return loads.sum();
  }

  /** How often it was bad. */
  public long failures() {
    return failures.sum();
  }

  @Override
  public void close() {
    if (watch != null) {
      watch.interrupt();
    }
  }
}
