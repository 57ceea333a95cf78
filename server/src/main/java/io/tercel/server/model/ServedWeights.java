package io.tercel.server.model;

import io.tercel.kernels.exchange.TensorPart;
import io.tercel.kernels.exchange.WeightUpdate;
import io.tercel.kernels.format.Checkpoint;
import io.tercel.kernels.format.CheckpointException;
import io.tercel.kernels.memory.LmHeadType;
import io.tercel.kernels.memory.LoadProgress;
import io.tercel.kernels.memory.PackedCache;
import io.tercel.kernels.memory.WeightChecksum;
import io.tercel.kernels.memory.WeightLoader;
import io.tercel.kernels.memory.WeightPatch;
import io.tercel.kernels.memory.WeightStore;
import io.tercel.server.engine.Engine;
import java.nio.file.Path;
import java.util.ConcurrentModificationException;
import java.util.UUID;
import java.util.concurrent.CompletionException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The weights of a served model and the directory that they came from. Thread-safe. */
public final class ServedWeights {
  private static final Logger log = LoggerFactory.getLogger(ServedWeights.class);

  private volatile Path directory;
  private final WeightStore weights;
  private final Engine engine;
  private final LmHeadType headType;
  private final LongSupplier availableBytes;
  private final AtomicInteger receiving = new AtomicInteger();
  private final String instance = UUID.randomUUID().toString();
  private final ReentrantLock reloading = new ReentrantLock();

  /**
   * Neither store nor engine is closed by this.
   *
   * @param headType how the present weights' head is kept, and the next one's will be
   * @param availableBytes memory that is free now
   */
  public ServedWeights(
      Path directory,
      WeightStore weights,
      Engine engine,
      LmHeadType headType,
      LongSupplier availableBytes) {
    this.directory = directory;
    this.weights = weights;
    this.engine = engine;
    this.headType = headType;
    this.availableBytes = availableBytes;
  }

  /** Of the weights that the next step computes with. */
  public long version() {
    return weights.version();
  }

  /**
   * Reads again the directory that the weights came from, see {@link #load}.
   *
   * @return the new version
   */
  public long reload() {
    return load(directory);
  }

  /**
   * Reads a directory's checkpoint and puts its weights in place between two steps. It is read
   * beside the present weights first, so they need their memory twice for a while, and a bad one
   * changes nothing. Tokenizer, template and defaults stay.
   *
   * @param from a model of the same shapes and format; where they came from, after that
   * @return the new version
   * @throws CheckpointException if it can't be read, doesn't fit into memory beside the present
   *     weights, or has other shapes; the message says what
   * @throws IllegalStateException if other weights are being read, or the engine has stopped
   */
  public long load(Path from) {
    if (!reloading.tryLock()) {
      throw new IllegalStateException("other weights are being read just now");
    }
    try (Checkpoint checkpoint = Checkpoint.open(from);
        WeightStore fresh =
            WeightLoader.load(
                checkpoint,
                headType,
                PackedCache.off(),
                availableBytes.getAsLong(),
                LoadProgress.SILENT)) {
      // whatever happens to this thread: the fresh weights must stay until they are copied
      long version = engine.betweenSteps(() -> replace(fresh)).join();
      directory = from;
      log.info("weights of {}: version {}", from, version);
      return version;
    } catch (CompletionException e) {
      throw switch (e.getCause()) {
        case IllegalArgumentException other ->
            new CheckpointException(from + ": " + other.getMessage());
        case RuntimeException other -> other;
        case null, default -> new IllegalStateException(e);
      };
    } finally {
      reloading.unlock();
    }
  }

  private long replace(WeightStore fresh) {
    weights.replaceWith(fresh);
    return weights.version();
  }

  /** The weights themselves. */
  public WeightStore store() {
    return weights;
  }

  /** With a version it names what is served: other processes have others. */
  public String instance() {
    return instance;
  }

  /**
   * Begins to take new weights, for the version that is served now.
   *
   * @param everything whether every byte of every tensor is to come
   * @throws IllegalArgumentException if a tensor is served in a form that can't be sent to
   */
  public Incoming receive(boolean everything) {
    return new Incoming(new WeightUpdate(weights, everything));
  }

  /** New weights that are coming now. */
  public int receiving() {
    return receiving.get();
  }

  /** New weights that are coming, see {@link WeightUpdate}. Used by one thread. */
  public final class Incoming implements AutoCloseable {
    private static final long STRIDE_BYTES = 32L << 20;

    private final WeightUpdate update;
    private long roomUntil;

    private Incoming(WeightUpdate update) {
      this.update = update;
      receiving.incrementAndGet();
    }

    /** The version that they are laid over. */
    public long baseVersion() {
      return update.baseVersion();
    }

    /**
     * Takes a piece, see {@link WeightUpdate#put}.
     *
     * @throws CheckpointException if what is new doesn't fit into memory beside the present weights
     */
    public void put(String name, TensorPart part, long offset, byte[] data, int from, int length) {
      update.put(name, part, offset, data, from, length);
      if (update.keptBytes() >= roomUntil) {
        if (availableBytes.getAsLong() < 2 * STRIDE_BYTES) {
          throw new CheckpointException(
              "the new weights don't fit into memory beside the present ones");
        }
        roomUntil = update.keptBytes() + STRIDE_BYTES;
      }
    }

    /** SHA-256 of the pieces that have come; to be asked once. */
    public byte[] digest() {
      return update.digest();
    }

    /**
     * Puts them in place between two steps, and waits until that is done.
     *
     * @return the new version
     * @throws IllegalArgumentException that says what is wrong or missing; nothing has changed then
     * @throws ConcurrentModificationException if the weights are of another version than they were
     *     at the beginning; nothing has changed then
     * @throws IllegalStateException if the engine has stopped
     */
    public long apply() {
      WeightPatch patch = update.finish();
      try {
        // whatever happens to this thread: the patch must stay until it is copied
        long version =
            engine
                .betweenSteps(
                    () -> {
                      weights.update(patch);
                      return weights.version();
                    })
                .join();
        log.info("{} bytes of new weights: version {}", update.bytes(), version);
        return version;
      } catch (CompletionException e) {
        throw e.getCause() instanceof RuntimeException cause ? cause : new IllegalStateException(e);
      }
    }

    @Override
    public void close() {
      update.close();
      receiving.decrementAndGet();
    }
  }

  /** Hashes all weights on the calling thread, see {@link WeightChecksum#of}. */
  public WeightChecksum checksum() {
    return WeightChecksum.of(weights);
  }
}
