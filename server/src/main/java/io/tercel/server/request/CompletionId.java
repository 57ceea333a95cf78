package io.tercel.server.request;

import io.tercel.server.model.ServedModel;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongFunction;
import java.util.regex.Pattern;

/**
 * What the parts of an answer say of it. The fingerprint may change within one: it names the
 * weights that made the last token so far, those at admission before the first. Thread-safe.
 */
public final class CompletionId {
  /** What a client may call its request: only what is safe to repeat in a log. */
  public static final String USABLE = "1 to 128 letters, digits or any of . _ : / + = -";

  private static final Pattern NAME = Pattern.compile("[A-Za-z0-9._:/+=-]{1,128}");

  /** Stands between the id of a request of several prompts and the number of each. */
  private static final String PART = "#";

  private final String id;
  private final long created;
  private final String model;
  private final LongFunction<String> fingerprints;
  private final AtomicLong weightVersion;

  private CompletionId(String id, String model, ApiConfig config, long weightVersion) {
    this.id = id;
    this.created = System.currentTimeMillis() / 1000;
    this.model = model;
    this.fingerprints = config.systemFingerprint();
    this.weightVersion = new AtomicLong(weightVersion);
  }

  /** For a client that names its request itself. */
  public static CompletionId of(String id, String model, ApiConfig config, ServedModel served) {
    return new CompletionId(id, model, config, served.engine().stats().weightVersion());
  }

  public static CompletionId next(
      String prefix, String model, ApiConfig config, ServedModel served) {
    return of(unique(prefix), model, config, served);
  }

  /** Whether a client may call its request so. */
  public static boolean isUsable(String name) {
    return NAME.matcher(name).matches();
  }

  /** What the engine calls one prompt of a request of several. */
  public static String part(String id, int index) {
    return id + PART + index;
  }

  /** The request's id in the engine's name of one of its prompts. */
  static String whole(String name) {
    int part = name.indexOf(PART);
    return part < 0 ? name : name.substring(0, part);
  }

  /** Whether the engine's name is a request's, or that of one of its prompts. */
  public static boolean isOf(String id, String name) {
    return name.equals(id) || name.startsWith(id + PART);
  }

  /** An id that nothing else has. */
  public static String unique(String prefix) {
    return prefix + UUID.randomUUID().toString().replace("-", "");
  }

  /** A token was made by weights of that version; versions only rise. */
  public void madeBy(long version) {
    weightVersion.accumulateAndGet(version, Math::max);
  }

  public String id() {
    return id;
  }

  /** In seconds since 1970. */
  public long created() {
    return created;
  }

  public String model() {
    return model;
  }

  /** Of the last token's weights, and the kernels. */
  public String fingerprint() {
    return fingerprints.apply(weightVersion.get());
  }
}
