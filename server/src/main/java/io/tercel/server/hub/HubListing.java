package io.tercel.server.hub;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.util.SortedSet;
import java.util.TreeSet;

/**
 * What the hub says about a revision: its commit and the names of its files, all of them checked to
 * stay inside the model's folder.
 */
record HubListing(String commit, SortedSet<String> files) {
  private static final int MAX_NAME = 1024;

  /**
   * Reads the answer of {@code /api/models/ORG/NAME/revision/REV}, or of {@code datasets}.
   *
   * @throws HubException if the commit is none, or a name would leave the folder
   */
  static HubListing parse(HubRepo repo, byte[] json) {
    JsonNode root;
    try {
      root = new ObjectMapper().readTree(json);
    } catch (IOException e) {
      throw new HubException(
          "%s: the hub's answer is not JSON; is HF_ENDPOINT a hub?".formatted(repo), e);
    }
    String commit = root.path("sha").asText("");
    if (!HubCache.COMMIT.matcher(commit).matches() || !root.path("siblings").isArray()) {
      throw new HubException(
          "%s: the hub's answer has no commit and no list of files; is HF_ENDPOINT a hub?"
              .formatted(repo));
    }
    SortedSet<String> files = new TreeSet<>();
    for (JsonNode sibling : root.path("siblings")) {
      String name = sibling.path("rfilename").asText("");
      if (!isSafe(name)) {
        throw new HubException(
            "%s: refused, since the repository names a file %s, which is no plain path below it"
                .formatted(repo, shown(name)));
      }
      files.add(name);
    }
    if (repo.kind() == HubRepo.Kind.MODEL && !files.contains(ModelFiles.CONFIG)) {
      throw new HubException(repo + " has no config.json: it is no model in Hugging Face's format");
    }
    return new HubListing(commit, files);
  }

  /** Whether a name is a relative path that stays below its folder on every system. */
  static boolean isSafe(String name) {
    if (name.isEmpty() || name.length() > MAX_NAME) {
      return false;
    }
    if (name.chars().anyMatch(c -> c < ' ' || c == 0x7f || c == '\\' || c == ':')) {
      return false;
    }
    for (String part : name.split("/", -1)) {
      if (part.isEmpty() || part.equals(".") || part.equals("..")) {
        return false;
      }
    }
    return true;
  }

  /** A hostile name as it can be printed: short, without control characters. */
  static String shown(String name) {
    String cut = name.length() > 80 ? name.substring(0, 80) + "…" : name;
    return "'" + cut.replaceAll("\\p{Cntrl}", "?") + "'";
  }
}
