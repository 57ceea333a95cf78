package io.tercel.server.hub;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.SortedSet;
import java.util.regex.Pattern;

/**
 * Which of a data set's files are wanted.
 *
 * @param pattern a path below the repository: a file, a folder, or either with {@code *}; empty for
 *     whatever holds data
 * @param split of the files that would do, those with this word in their path, if there are any:
 *     {@code train} or {@code test}
 */
public record DataChoice(String pattern, String split) {
  private static final Pattern DATA = Pattern.compile("(?i).*\\.(jsonl|parquet|csv)");
  private static final int SHOWN = 8;

  /**
   * The names that it is, in their order.
   *
   * @throws HubException if it is none; the message names some that there are
   */
  List<String> of(HubRepo repo, SortedSet<String> names) {
    List<String> data = names.stream().filter(name -> DATA.matcher(name).matches()).toList();
    Pattern wanted = expression();
    List<String> found = data.stream().filter(name -> wanted.matcher(name).matches()).toList();
    if (found.isEmpty()) {
      throw new HubException(
          "%s has no .jsonl, .parquet or .csv %s; it has %s"
              .formatted(
                  repo, pattern.isEmpty() ? "at all" : "that is '" + pattern + "'", shown(data)));
    }
    Pattern word = Pattern.compile("(?i)(.*[^a-z])?" + Pattern.quote(split) + "([^a-z].*)?");
    List<String> ofSplit = found.stream().filter(name -> word.matcher(name).matches()).toList();
    return ofSplit.isEmpty() ? found : ofSplit;
  }

  private static String shown(List<String> names) {
    if (names.isEmpty()) {
      return "none of these";
    }
    String some = String.join(", ", names.subList(0, Math.min(SHOWN, names.size())));
    return names.size() > SHOWN ? some + " and " + (names.size() - SHOWN) + " more" : some;
  }

  private Pattern expression() {
    if (pattern.isEmpty()) {
      return Pattern.compile(".*");
    }
    StringBuilder regex = new StringBuilder();
    for (String part : pattern.split("\\*", -1)) {
      regex
          .append(regex.isEmpty() ? "" : "[^/]*")
          .append(part.isEmpty() ? "" : Pattern.quote(part));
      if (regex.isEmpty()) {
        regex.append("(?:)"); // a star at the very beginning
      }
    }
    return Pattern.compile(regex + "(/.*)?");
  }

  /** Tells choices apart in file names. */
  String id() {
    try {
      byte[] digest =
          MessageDigest.getInstance("SHA-256")
              .digest((split + "/" + pattern).getBytes(StandardCharsets.UTF_8));
      return HexFormat.of().formatHex(digest, 0, 8);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }
}
