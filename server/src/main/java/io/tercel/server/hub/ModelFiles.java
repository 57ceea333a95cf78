package io.tercel.server.hub;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.List;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Which of a repository's files make a model that can be served: its configuration, its tokenizer,
 * its template, and its weights as safetensors. Everything else ({@code .bin}, {@code .gguf},
 * folders of other formats) stays where it is.
 */
final class ModelFiles {
  static final String CONFIG = "config.json";
  static final String INDEX = "model.safetensors.index.json";
  private static final String TOKENIZER = "tokenizer.json";
  private static final String WEIGHTS = ".safetensors";
  private static final long MAX_INDEX_BYTES = 64L << 20;

  /** All but the weights: few and small. */
  private static final Pattern SMALL =
      Pattern.compile(
          "config\\.json|generation_config\\.json|quantize_config\\.json|"
              + Pattern.quote(INDEX)
              + "|tokenizer[^/]*\\.(json|model)|chat_template[^/]*\\.(json|jinja)");

  private ModelFiles() {}

  /** The files to fetch first, of all that the repository has. */
  static List<String> small(Collection<String> names) {
    return names.stream().filter(name -> SMALL.matcher(name).matches()).sorted().toList();
  }

  /**
   * The files of weights to fetch: the index's shards where there is an index, else all.
   *
   * @param snapshot where the small files are already
   */
  static List<String> weights(HubRepo repo, Collection<String> names, Path snapshot) {
    if (Files.isRegularFile(snapshot.resolve(INDEX))) {
      SortedSet<String> shards;
      try {
        shards = shards(snapshot.resolve(INDEX));
      } catch (IOException e) {
        throw new HubException("%s: %s: %s".formatted(repo, INDEX, e.getMessage()), e);
      }
      for (String shard : shards) {
        if (!names.contains(shard)) {
          throw new HubException(
              "%s: %s names %s, which the repository doesn't have".formatted(repo, INDEX, shard));
        }
      }
      return List.copyOf(shards);
    }
    List<String> weights =
        names.stream().filter(n -> n.endsWith(WEIGHTS) && !n.contains("/")).sorted().toList();
    if (weights.isEmpty()) {
      throw new HubException(
          repo + " has no .safetensors files: Tercel loads safetensors, not .bin, .gguf or .onnx");
    }
    return weights;
  }

  /** Whether a folder holds a whole model, so that nothing needs to be fetched. */
  static boolean areCompleteIn(Path snapshot) {
    if (!Files.isRegularFile(snapshot.resolve(CONFIG))
        || !Files.isRegularFile(snapshot.resolve(TOKENIZER))) {
      return false;
    }
    try {
      if (Files.isRegularFile(snapshot.resolve(INDEX))) {
        return shards(snapshot.resolve(INDEX)).stream()
            .allMatch(shard -> Files.isRegularFile(snapshot.resolve(shard)));
      }
      try (Stream<Path> files = Files.list(snapshot)) {
        List<Path> weights = files.filter(file -> file.toString().endsWith(WEIGHTS)).toList();
        return !weights.isEmpty() && weights.stream().allMatch(Files::isRegularFile);
      }
    } catch (IOException e) {
      return false;
    }
  }

  private static SortedSet<String> shards(Path index) throws IOException {
    if (Files.size(index) > MAX_INDEX_BYTES) {
      throw new IOException("larger than " + MAX_INDEX_BYTES + " bytes");
    }
    JsonNode map = new ObjectMapper().readTree(Files.readAllBytes(index)).path("weight_map");
    SortedSet<String> shards = new TreeSet<>();
    for (JsonNode shard : map) {
      if (!HubListing.isSafe(shard.asText()) || !shard.asText().endsWith(WEIGHTS)) {
        throw new IOException("weight_map names " + HubListing.shown(shard.asText()));
      }
      shards.add(shard.asText());
    }
    if (shards.isEmpty()) {
      throw new IOException("weight_map names no files");
    }
    return shards;
  }
}
