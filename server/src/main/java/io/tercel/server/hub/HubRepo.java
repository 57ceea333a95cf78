package io.tercel.server.hub;

import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A model or a data set of the hub at a revision: {@code ORG/NAME[@revision]}.
 *
 * @param revision a branch, a tag, a reference or a commit; {@code main} where none was given
 */
public record HubRepo(Kind kind, String org, String name, String revision) {
  /** What a repository holds, of which the hub has each in a namespace of its own. */
  public enum Kind {
    MODEL("models", ""),
    DATASET("datasets", "datasets/");

    /** In the hub's API, and in the names of the cache's folders. */
    final String plural;

    /** Before a repository's name in addresses of pages and files. */
    final String path;

    Kind(String plural, String path) {
      this.plural = plural;
      this.path = path;
    }
  }

  /** The branch that a name without a revision means. */
  static final String DEFAULT_REVISION = "main";

  private static final String PART = "[A-Za-z0-9][A-Za-z0-9._-]{0,95}";
  private static final Pattern ARGUMENT =
      Pattern.compile("(" + PART + ")/(" + PART + ")(?:@(" + PART + "(?:/" + PART + ")*))?");

  public HubRepo {
    if (!ARGUMENT.matcher(org + "/" + name + "@" + revision).matches() || revision.contains("..")) {
      throw new IllegalArgumentException(
          "not ORG/NAME@revision: %s/%s@%s".formatted(org, name, revision));
    }
  }

  /** Reads a model's {@code ORG/NAME[@revision]}; empty if the text has another form. */
  public static Optional<HubRepo> parse(String argument) {
    Matcher matcher = ARGUMENT.matcher(argument);
    if (!matcher.matches() || argument.contains("..")) {
      return Optional.empty();
    }
    String revision = matcher.group(3);
    return Optional.of(
        new HubRepo(
            Kind.MODEL,
            matcher.group(1),
            matcher.group(2),
            revision == null ? DEFAULT_REVISION : revision));
  }

  /** The data set of that name. */
  public HubRepo dataset() {
    return new HubRepo(Kind.DATASET, org, name, revision);
  }

  /** {@code ORG/NAME}. */
  public String id() {
    return org + "/" + name;
  }

  /** As it is written on the command line. */
  @Override
  public String toString() {
    return revision.equals(DEFAULT_REVISION) ? id() : id() + "@" + revision;
  }
}
