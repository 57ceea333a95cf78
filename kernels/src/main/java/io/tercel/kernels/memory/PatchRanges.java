package io.tercel.kernels.memory;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Bytes that are to be written to places in packed matrices, kept one after another in pieces of
 * memory of the arena. Made by one thread, and written by another afterwards.
 */
final class PatchRanges {
  private static final int PIECE = 1 << 18;

  private final Arena arena;
  private final List<Run> runs = new ArrayList<>();
  private MemorySegment piece = MemorySegment.NULL;
  private int used;
  private long[] places = new long[64];
  private int[] lengths = new int[64];
  private int count;
  private long bytes;

  /**
   * Ranges of one matrix whose bytes follow one another in one piece.
   *
   * @param to the matrix's segment
   * @param from the piece
   * @param start where in it the first range's bytes are
   * @param first number of the first range; the next run's is where this one ends
   */
  private record Run(MemorySegment to, MemorySegment from, int start, int first) {}

  PatchRanges(Arena arena) {
    this.arena = arena;
  }

  /**
   * Takes over some bytes.
   *
   * @param to a matrix's segment
   * @param at where they go
   */
  void add(MemorySegment to, long at, MemorySegment fresh, long from, long length) {
    for (long done = 0; done < length; ) {
      if (used == piece.byteSize()) {
        piece = arena.allocate(PIECE, 64);
        used = 0;
      }
      int part = (int) Math.min(length - done, piece.byteSize() - used);
      note(to, at + done, part);
      MemorySegment.copy(fresh, from + done, piece, used, part);
      used += part;
      done += part;
    }
    bytes += length;
  }

  private void note(MemorySegment to, long at, int length) {
    Run last = runs.isEmpty() ? null : runs.getLast();
    if (last == null || !last.to.equals(to) || !last.from.equals(piece)) {
      runs.add(new Run(to, piece, used, count));
    } else if (places[count - 1] + lengths[count - 1] == at) {
      lengths[count - 1] += length;
      return;
    }
    if (count == places.length) {
      places = Arrays.copyOf(places, 2 * count);
      lengths = Arrays.copyOf(lengths, 2 * count);
    }
    places[count] = at;
    lengths[count++] = length;
  }

  /** Bytes that {@link #write} copies. */
  long bytes() {
    return bytes;
  }

  /** Copies all bytes to their places. */
  void write() {
    for (int r = 0; r < runs.size(); r++) {
      Run run = runs.get(r);
      int end = r + 1 < runs.size() ? runs.get(r + 1).first : count;
      long from = run.start;
      for (int i = run.first; i < end; i++) {
        MemorySegment.copy(run.from, from, run.to, places[i], lengths[i]);
        from += lengths[i];
      }
    }
  }
}
