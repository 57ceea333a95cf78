package io.tercel.trainer.ptq;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;

/**
 * Token sequences on which the layers' inputs are observed.
 *
 * @param sequences each of two tokens or more
 */
public record Calibration(List<int[]> sequences) {

  public Calibration {
    sequences = List.copyOf(sequences);
    if (sequences.isEmpty()) {
      throw new IllegalArgumentException("a calibration needs at least one sequence");
    }
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
