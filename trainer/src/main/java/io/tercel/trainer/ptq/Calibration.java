package io.tercel.trainer.ptq;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.trainer.files.AtomicFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * Token sequences on which the layers' inputs are observed.
 *
 * @param sequences each of two tokens or more
 * @param domain what kind of text it is, for the report
 */
public record Calibration(List<int[]> sequences, String domain) {

  public Calibration {
    sequences = List.copyOf(sequences);
    if (sequences.isEmpty()) {
      throw new IllegalArgumentException("a calibration needs at least one sequence");
    }
  }

  static final String FILE = "calibration.jsonl";

  /** Keeps it: the domain, then each sequence's tokens. */
  void write(Path file) throws IOException {
    ObjectMapper json = new ObjectMapper();
    StringBuilder lines = new StringBuilder();
    lines.append(json.createObjectNode().put("domain", domain)).append('\n');
    for (int[] sequence : sequences) {
      lines.append("{\"token_ids\":").append(json.writeValueAsString(sequence)).append("}\n");
    }
    AtomicFile.write(file, lines.toString());
  }

  /** What was kept. */
  static Calibration read(Path file) throws IOException {
    ObjectMapper json = new ObjectMapper();
    List<int[]> sequences = new ArrayList<>();
    List<String> lines = Files.readAllLines(file);
    for (String line : lines.subList(1, lines.size())) {
      sequences.add(json.convertValue(json.readTree(line).get("token_ids"), int[].class));
    }
    return new Calibration(sequences, json.readTree(lines.getFirst()).get("domain").asText());
  }

  /** What a report says of the texts, if there were any. */
  static ObjectNode describe(@Nullable Calibration calibration) {
    ObjectNode json = new ObjectMapper().createObjectNode();
    json.put("domain", calibration == null ? "none" : calibration.domain());
    json.put("sequences", calibration == null ? 0 : calibration.sequences().size());
    return json.put("tokens", calibration == null ? 0 : calibration.numTokens());
  }

  /** What it may be known by: a sum of all tokens and where they stand. */
  String fingerprint() {
    CRC32C sum = new CRC32C();
    for (int[] sequence : sequences) {
      ByteBuffer bytes = ByteBuffer.allocate(4 * (sequence.length + 1)).putInt(sequence.length);
      for (int token : sequence) {
        bytes.putInt(token);
      }
      sum.update(bytes.flip());
    }
    return "%d tokens, %08x".formatted(numTokens(), sum.getValue());
  }

  /** Of no domain in particular. */
  public Calibration(List<int[]> sequences) {
    this(sequences, "unnamed");
  }

  /** The same, with a name for what kind of text it is. */
  public Calibration of(String kind) {
    return new Calibration(sequences, kind);
  }

  /**
   * The beginnings of the first sequences.
   *
   * @param count of sequences, at most
   * @param length of each, at most
   */
  Calibration beginnings(int count, int length) {
    List<int[]> first = new ArrayList<>();
    for (int[] sequence : sequences.subList(0, Math.min(count, sequences.size()))) {
      first.add(Arrays.copyOf(sequence, Math.min(length, sequence.length)));
    }
    return new Calibration(first, domain);
  }

  /** Tokens of all sequences. */
  public long numTokens() {
    return sequences.stream().mapToLong(s -> s.length).sum();
  }

  /**
   * Draws sequences from documents: the documents in random order; of one that is longer than
   * {@code length} a random window, else all of it. Long documents give further windows while there
   * are too few sequences, short ones are used once.
   *
   * @param samples at most so many; fewer if all documents are short
   */
  public static Calibration draw(List<int[]> documents, int samples, int length, long seed) {
    List<int[]> usable = new ArrayList<>();
    for (int[] document : documents) {
      if (document.length >= 2) {
        usable.add(document);
      }
    }
    Random random = new Random(seed);
    Collections.shuffle(usable, random);
    List<int[]> sequences = new ArrayList<>();
    while (sequences.size() < samples && !usable.isEmpty()) {
      for (int[] document : usable) {
        if (sequences.size() < samples) {
          int from = document.length <= length ? 0 : random.nextInt(document.length - length + 1);
          sequences.add(
              Arrays.copyOfRange(document, from, Math.min(document.length, from + length)));
        }
      }
      usable.removeIf(document -> document.length <= length);
    }
    return new Calibration(sequences);
  }
}
