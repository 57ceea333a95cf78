package io.tercel.trainer.data;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.server.UserException;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Collectors;

/** What the lines of a file hold; the first that fits a line's fields is taken. */
public enum Layout {
  /** OpenR1-Math: a problem with several generations, each verified or not. */
  OPENR1("problem", "generations"),
  /** NuminaMath and the like: a problem with its worked solution. */
  NUMINA("problem", "solution"),
  /** GSM8K: a question, and an answer that is the work, {@code ####} and the result. */
  GSM8K("question", "answer"),
  /** What {@code tercel problems} writes: a problem, and the response as text. */
  WORKED("problem", "text"),
  /** A problem and its answer without any work; to be asked, not to be learnt from. */
  ANSWERS("problem", "answer"),
  /** A conversation as OpenAI's API has it. */
  MESSAGES("messages"),
  /** Wikitext: rows of one running text. */
  WIKITEXT("text"),
  /** A document a line. */
  TEXT("text");

  private final List<String> fields;

  Layout(String... fields) {
    this.fields = List.of(fields);
  }

  /** The fields that each line must have. */
  List<String> fields() {
    return fields;
  }

  /** As the command line names it. */
  public String id() {
    return name().toLowerCase(Locale.ROOT);
  }

  /**
   * The layout of that name.
   *
   * @throws UserException if there is none
   */
  public static Layout parse(String name) {
    return Arrays.stream(values())
        .filter(layout -> layout.id().equals(name.strip().toLowerCase(Locale.ROOT)))
        .findFirst()
        .orElseThrow(
            () -> new UserException("--data-format: there is no " + name + "; one of " + ids()));
  }

  static String ids() {
    return Arrays.stream(values()).map(Layout::id).collect(Collectors.joining(", "));
  }

  /** The layout that a file's first line has, by its fields. */
  static Optional<Layout> of(ObjectNode line) {
    return Arrays.stream(values())
        .filter(layout -> layout.fields.stream().allMatch(line::has))
        .filter(layout -> layout != WIKITEXT || isWikitext(line.path("text").asText()))
        .findFirst();
  }

  /** Wikitext's files begin with an empty row or a heading between equals signs. */
  private static boolean isWikitext(String row) {
    return row.isBlank() || row.matches("(?s)\\s*= .* =\\s*");
  }
}
