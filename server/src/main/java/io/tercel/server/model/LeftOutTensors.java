package io.tercel.server.model;

import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What a checkpoint holds beside the model that is served from it, as a line for who runs it. */
final class LeftOutTensors {
  private static final int NAMED = 4;

  private LeftOutTensors() {}

  /**
   * Names the first few and says how many there are.
   *
   * @param unexpected the names that nothing asks for
   * @return null if there is nothing to say; a tied head that is stored beside the embedding is
   *     held to be the same when it is loaded, and no news
   */
  static @Nullable String warning(Path directory, List<String> unexpected) {
    List<String> left = unexpected.stream().filter(name -> !name.equals("lm_head.weight")).toList();
    if (left.isEmpty()) {
      return null;
    }
    List<String> named = left.subList(0, Math.min(NAMED, left.size()));
    return "%s: %d tensor%s left out, for no layer asks for %s: %s%s"
        .formatted(
            directory,
            left.size(),
            left.size() == 1 ? " is" : "s are",
            left.size() == 1 ? "it" : "them",
            String.join(", ", named),
            left.size() > NAMED ? ", ..." : "");
  }
}
