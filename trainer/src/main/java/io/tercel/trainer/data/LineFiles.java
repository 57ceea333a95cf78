package io.tercel.trainer.data;

import io.tercel.server.UserException;
import io.tercel.trainer.files.DataFiles;
import io.tercel.trainer.files.JsonLine;
import io.tercel.trainer.files.LineFile;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** JSONL files, one behind the other, all of one layout. */
final class LineFiles implements AutoCloseable {
  private final List<LineFile> files = new ArrayList<>();
  private final LineIndex index = new LineIndex();
  private @Nullable Layout layout;
  private long lines;
  private long dropped;

  private LineFiles(@Nullable Layout layout) {
    this.layout = layout;
  }

  /** Checks a line, and says how many items it holds. */
  interface Counter {
    /** Items in a line of that layout; 0 drops it. */
    int items(Layout layout, JsonLine line);
  }

  /**
   * Opens and checks what a source names, see {@link DataFiles}.
   *
   * @param layout null to tell it by the first line
   * @throws UserException naming file, line and field
   */
  static LineFiles open(String source, @Nullable Layout layout, Counter counter) {
    LineFiles opened = new LineFiles(layout);
    boolean whole = false;
    try {
      for (Path file : files(source)) {
        opened.files.add(LineFile.open(file));
        opened.read(opened.files.size() - 1, counter);
      }
      if (opened.layout == null) {
        throw new UserException("--data: " + source + " is empty");
      }
      whole = true;
      return opened;
    } finally {
      if (!whole) {
        opened.close();
      }
    }
  }

  private static List<Path> files(String source) {
    return DataFiles.find("--data", source, "train");
  }

  private void read(int file, Counter counter) {
    files
        .get(file)
        .visit(
            (line, place, number) -> {
              int items = counter.items(layout(line), line);
              lines++;
              dropped += items == 0 ? 1 : 0;
              for (int part = 0; part < items; part++) {
                index.add(new LineIndex.Item(file, number, place, part));
              }
            });
  }

  /** The files' layout, which the first line decides and each has to have. */
  private Layout layout(JsonLine line) {
    Layout known = layout;
    if (known == null) {
      known =
          Layout.of(line.fields())
              .orElseThrow(
                  () ->
                      new UserException(
                          line.where()
                              + ": its fields ("
                              + String.join(", ", fieldNames(line))
                              + ") are no layout that is known: give messages, text, or problem with"
                              + " solution or generations"));
      layout = known;
    }
    for (String field : known.fields()) {
      boolean either = known == Layout.GSM8K && field.equals("question");
      if (!line.fields().has(field) && !(either && line.fields().has("problem"))) {
        throw line.refuse(
            field,
            "is missing, which the layout %s needs; add it, or name another with --data-format (%s)"
                .formatted(known.id(), Layout.ids()));
      }
    }
    return known;
  }

  private static List<String> fieldNames(JsonLine line) {
    List<String> names = new ArrayList<>();
    line.fields().fieldNames().forEachRemaining(names::add);
    return names;
  }

  Layout layout() {
    Layout known = layout;
    if (known == null) {
      throw new IllegalStateException("not read yet");
    }
    return known;
  }

  int size() {
    return index.size();
  }

  /** Lines that are not blank. */
  long lines() {
    return lines;
  }

  long dropped() {
    return dropped;
  }

  LineIndex.Item item(int at) {
    return index.get(at);
  }

  JsonLine line(LineIndex.Item item) {
    return files.get(item.file()).line(item.place(), item.line());
  }

  String where(int at) {
    LineIndex.Item item = index.get(at);
    return files.get(item.file()).where(item.line());
  }

  @Override
  public void close() {
    files.forEach(LineFile::close);
  }
}
