package io.tercel.trainer.eval.code;

import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The program in a completion: its last fenced block. */
final class Program {
  private static final Pattern FENCE = Pattern.compile("(?m)^[ \\t]*```[^`\\n]*$");

  private Program() {}

  /** The last block that has an end. */
  static Optional<String> in(String completion) {
    int opened = -1;
    Optional<String> last = Optional.empty();
    Matcher fence = FENCE.matcher(completion);
    while (fence.find()) {
      if (opened < 0) {
        opened = Math.min(completion.length(), fence.end() + 1);
      } else {
        last = Optional.of(completion.substring(opened, Math.max(opened, fence.start())));
        opened = -1;
      }
    }
    return last.filter(program -> !program.isBlank());
  }
}
