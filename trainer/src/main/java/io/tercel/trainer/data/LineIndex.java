package io.tercel.trainer.data;

import io.tercel.trainer.files.LineFile;
import java.util.Arrays;

/** Where the items of some files are: 24 bytes an item, and nothing of what they say. */
final class LineIndex {
  private int size;
  private long[] offsets = new long[64];
  private int[] lengths = new int[64];
  private int[] files = new int[64];
  private int[] lines = new int[64];
  private int[] parts = new int[64];

  /**
   * One item.
   *
   * @param part of several in one line
   */
  record Item(int file, int line, LineFile.Place place, int part) {}

  void add(Item item) {
    if (size == lines.length) {
      int more = Math.addExact(size, size >> 1);
      offsets = Arrays.copyOf(offsets, more);
      lengths = Arrays.copyOf(lengths, more);
      files = Arrays.copyOf(files, more);
      lines = Arrays.copyOf(lines, more);
      parts = Arrays.copyOf(parts, more);
    }
    offsets[size] = item.place().offset();
    lengths[size] = item.place().length();
    files[size] = item.file();
    lines[size] = item.line();
    parts[size++] = item.part();
  }

  int size() {
    return size;
  }

  Item get(int at) {
    return new Item(files[at], lines[at], new LineFile.Place(offsets[at], lengths[at]), parts[at]);
  }
}
