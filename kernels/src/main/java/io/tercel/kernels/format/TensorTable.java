package io.tercel.kernels.format;

import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * All tensors of a checkpoint by name, whether they lie in one file or in shards. It also notes
 * which were asked for, so that the rest can be listed.
 */
final class TensorTable {
  static final String SINGLE = "model.safetensors";
  static final String INDEX = "model.safetensors.index.json";
  private static final int MAX_SHARDS = 4096;

  private final Path source;
  private final List<SafetensorsFile> files = new ArrayList<>();
  private final Map<String, Tensor> tensors = new LinkedHashMap<>();
  private final Set<String> used = new LinkedHashSet<>();

  private TensorTable(Path source) {
    this.source = source;
  }

  /**
   * Maps {@code model.safetensors}, or else the shards that {@code model.safetensors.index.json}
   * names.
   *
   * @throws CheckpointException if neither is there, or files and index disagree
   */
  static TensorTable open(Path directory, Arena arena) {
    Path single = directory.resolve(SINGLE);
    if (Files.exists(single)) {
      TensorTable table = new TensorTable(single);
      table.addAll(SafetensorsFile.open(single, arena));
      return table;
    }
    Path index = directory.resolve(INDEX);
    JsonSection json = JsonSection.readIfPresent(index, 64 << 20);
    if (json == null) {
      throw new CheckpointException(directory + ": there is neither " + SINGLE + " nor " + INDEX);
    }
    TensorTable table = new TensorTable(index);
    table.addShards(directory, json, arena);
    return table;
  }

  private void addShards(Path directory, JsonSection json, Arena arena) {
    JsonSection weightMap = json.object("weight_map");
    if (weightMap == null) {
      throw new CheckpointException(source + ": weight_map is missing; expected an object");
    }
    Map<String, String> shardOf = new LinkedHashMap<>();
    for (String tensor : weightMap.fieldNames()) {
      String shard = weightMap.stringOrNull(tensor);
      if (shard == null) {
        throw weightMap.refuse(tensor, "the name of a shard");
      }
      shardOf.put(tensor, shard);
    }
    Set<String> shards = new LinkedHashSet<>(shardOf.values());
    if (shards.size() > MAX_SHARDS) {
      throw new CheckpointException(
          "%s: weight_map names %d shards; at most %d are expected"
              .formatted(source, shards.size(), MAX_SHARDS));
    }
    for (String shard : shards) {
      addAll(SafetensorsFile.open(shardPath(directory, shard), arena));
    }
    for (Map.Entry<String, String> entry : shardOf.entrySet()) {
      Tensor tensor = tensors.get(entry.getKey());
      if (tensor == null || !tensor.file().equals(directory.resolve(entry.getValue()))) {
        throw new CheckpointException(
            "%s: weight_map puts tensor %s in %s, which does not hold it"
                .formatted(source, entry.getKey(), entry.getValue()));
      }
    }
  }

  /** A shard is a plain name beside the index; links are followed, as the hub's cache has them. */
  private Path shardPath(Path directory, String shard) {
    Path path;
    try {
      path = Path.of(shard);
    } catch (InvalidPathException e) {
      throw new CheckpointException(source + ": weight_map names the impossible shard " + shard, e);
    }
    boolean plain =
        !path.isAbsolute()
            && path.getNameCount() == 1
            && !shard.contains("/")
            && !shard.contains("\\")
            && shard.endsWith(".safetensors");
    if (!plain) {
      throw new CheckpointException(
          source
              + ": weight_map names the shard "
              + shard
              + "; expected a .safetensors file in the same directory");
    }
    Path resolved = directory.resolve(path);
    if (!Files.isRegularFile(resolved)) {
      throw new CheckpointException(source + ": weight_map names the missing shard " + shard);
    }
    return resolved;
  }

  private void addAll(SafetensorsFile file) {
    files.add(file);
    for (Tensor tensor : file.tensors()) {
      Tensor other = tensors.putIfAbsent(tensor.name(), tensor);
      if (other != null) {
        throw new CheckpointException(
            tensor.where() + " is in " + other.file().getFileName() + " too");
      }
    }
  }

  /** The file, or the shards. */
  List<SafetensorsFile> files() {
    return files;
  }

  boolean has(String name) {
    return tensors.containsKey(name);
  }

  /** The tensor, not noted as used, or null. */
  @Nullable Tensor peek(String name) {
    return tensors.get(name);
  }

  /** The tensor, noted as used, or null. */
  @Nullable Tensor find(String name) {
    Tensor tensor = tensors.get(name);
    if (tensor != null) {
      used.add(name);
    }
    return tensor;
  }

  /** The tensor, noted as used; the hint ends the message if there is none. */
  Tensor require(String name, String hint) {
    Tensor tensor = find(name);
    if (tensor == null) {
      throw new CheckpointException(source + ": tensor " + name + " is missing" + hint);
    }
    return tensor;
  }

  /** Names of the tensors that nobody asked for, in file order. */
  Set<String> unused() {
    Set<String> names = new LinkedHashSet<>(tensors.keySet());
    names.removeAll(used);
    return names;
  }
}
