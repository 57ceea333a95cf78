package io.tercel.kernels.testing;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeSet;

/** Reads and writes whole safetensors files and directories on the heap, trusting every byte. */
public final class RawSafetensors {
  private static final ObjectMapper JSON = new ObjectMapper();

  private RawSafetensors() {}

  /** Writes one file; the data lies in the map's order. */
  public static void write(Path file, Map<String, RawTensor> tensors) {
    ObjectNode header = JSON.createObjectNode();
    header.putObject("__metadata__").put("format", "pt");
    long at = 0;
    for (Map.Entry<String, RawTensor> e : tensors.entrySet()) {
      ObjectNode entry = header.putObject(e.getKey());
      entry.put("dtype", e.getValue().dtype());
      Arrays.stream(e.getValue().shape()).forEach(entry.putArray("shape")::add);
      entry.putArray("data_offsets").add(at).add(at + e.getValue().data().length);
      at += e.getValue().data().length;
    }
    byte[] json = header.toString().getBytes(StandardCharsets.UTF_8);
    int padded = Math.ceilDiv(json.length, 8) * 8;
    try (OutputStream out = Files.newOutputStream(file);
        DataOutputStream data = new DataOutputStream(new BufferedOutputStream(out))) {
      data.writeLong(Long.reverseBytes(padded));
      data.write(json);
      data.write(" ".repeat(padded - json.length).getBytes(StandardCharsets.UTF_8));
      for (RawTensor tensor : tensors.values()) {
        data.write(tensor.data());
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Deals the tensors out to shards one by one, and writes their index. */
  public static void writeSharded(Path directory, Map<String, RawTensor> tensors, int shards) {
    ObjectNode index = JSON.createObjectNode();
    index.putObject("metadata").put("total_size", 0);
    ObjectNode weightMap = index.putObject("weight_map");
    for (int s = 0; s < shards; s++) {
      String name = "model-%05d-of-%05d.safetensors".formatted(s + 1, shards);
      Map<String, RawTensor> part = new LinkedHashMap<>();
      int i = 0;
      for (Map.Entry<String, RawTensor> e : tensors.entrySet()) {
        if (i++ % shards == s) {
          part.put(e.getKey(), e.getValue());
          weightMap.put(e.getKey(), name);
        }
      }
      write(directory.resolve(name), part);
    }
    try {
      Files.writeString(directory.resolve("model.safetensors.index.json"), index.toPrettyString());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** All tensors of model.safetensors, or else of every shard beside the index. */
  public static Map<String, RawTensor> readDirectory(Path directory) {
    try {
      Path single = directory.resolve("model.safetensors");
      if (Files.exists(single)) {
        return read(single);
      }
      JsonNode index = JSON.readTree(directory.resolve("model.safetensors.index.json").toFile());
      TreeSet<String> shards = new TreeSet<>();
      index.get("weight_map").forEach(shard -> shards.add(shard.asText()));
      Map<String, RawTensor> tensors = new LinkedHashMap<>();
      for (String shard : shards) {
        tensors.putAll(read(directory.resolve(shard)));
      }
      return tensors;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  public static Map<String, RawTensor> read(Path file) {
    try {
      byte[] bytes = Files.readAllBytes(file);
      int length = (int) ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong();
      JsonNode header = JSON.readTree(bytes, 8, length);
      Map<String, RawTensor> tensors = new LinkedHashMap<>();
      for (Iterator<Map.Entry<String, JsonNode>> it = header.fields(); it.hasNext(); ) {
        Map.Entry<String, JsonNode> e = it.next();
        if (e.getKey().equals("__metadata__")) {
          continue;
        }
        JsonNode shape = e.getValue().get("shape");
        long[] dims = new long[shape.size()];
        Arrays.setAll(dims, d -> shape.get(d).asLong());
        JsonNode offsets = e.getValue().get("data_offsets");
        byte[] data =
            Arrays.copyOfRange(
                bytes, 8 + length + offsets.get(0).asInt(), 8 + length + offsets.get(1).asInt());
        tensors.put(e.getKey(), new RawTensor(e.getValue().get("dtype").asText(), dims, data));
      }
      return tensors;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
