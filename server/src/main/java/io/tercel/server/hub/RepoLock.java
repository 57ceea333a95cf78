package io.tercel.server.hub;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Lets one download of a model run at a time: a lock on a file between processes, and a lock of
 * this JVM between its threads (a JVM can't wait for a file lock that it holds itself). The lock
 * file stays: deleting it would let a third process lock another one.
 */
final class RepoLock implements AutoCloseable {
  private static final ReentrantLock IN_THIS_JVM = new ReentrantLock();

  private final FileChannel channel;

  private RepoLock(FileChannel channel) {
    this.channel = channel;
  }

  /**
   * Waits for the lock.
   *
   * @param waiting run once if another process holds it
   */
  static RepoLock acquire(Path file, Runnable waiting) throws IOException {
    IN_THIS_JVM.lock();
    @Nullable FileChannel channel = null;
    try {
      Files.createDirectories(HubCache.parent(file));
      channel = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
      @Nullable FileLock lock = channel.tryLock();
      if (lock == null) {
        waiting.run();
        channel.lock();
      }
      return new RepoLock(channel);
    } catch (IOException | RuntimeException e) {
      if (channel != null) {
        channel.close();
      }
      IN_THIS_JVM.unlock();
      throw e;
    }
  }

  @Override
  public void close() throws IOException {
    try {
      channel.close(); // Releases the file's lock.
    } finally {
      IN_THIS_JVM.unlock();
    }
  }
}
