package io.tercel.trainer.files;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.hardwood.InputFile;
import dev.hardwood.reader.ParquetFileReader;
import dev.hardwood.reader.RowReader;
import dev.hardwood.row.PqList;
import dev.hardwood.row.PqMap;
import dev.hardwood.row.PqStruct;
import dev.hardwood.row.StructAccessor;
import io.tercel.server.UserException;
import java.io.BufferedWriter;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Base64;
import java.util.HexFormat;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Parquet, the format of most published data, as JSON lines: a file's rows are written out once,
 * into the cache of this project, where they can be read from any line on.
 */
public final class ParquetLines {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final JsonNodeFactory NODES = JSON.getNodeFactory();

  private ParquetLines() {}

  /** Whether a file's name says that it is parquet. */
  public static boolean named(Path file) {
    return file.toString().toLowerCase(Locale.ROOT).endsWith(".parquet");
  }

  /**
   * The lines of a file, a JSON object a row, with its columns' names.
   *
   * @throws UserException if it can't be read, or the lines not be written
   */
  public static Path of(Path parquet) {
    return of(parquet, cache());
  }

  /** {@code XDG_CACHE_HOME}, or {@code .cache} at home. */
  private static Path cache() {
    String set = System.getenv("XDG_CACHE_HOME");
    Path base =
        set == null || set.isEmpty()
            ? Path.of(System.getProperty("user.home"), ".cache")
            : Path.of(set);
    return base.resolve("tercel").resolve("parquet");
  }

  static Path of(Path parquet, Path cache) {
    Path lines;
    try {
      lines = cache.resolve(id(parquet) + ".jsonl");
      if (Files.isRegularFile(lines)) {
        return lines;
      }
      Files.createDirectories(cache);
    } catch (IOException e) {
      throw new UserException(parquet + ": can't be read: " + e.getMessage(), e);
    }
    Path fresh = lines.resolveSibling(lines.getFileName() + "." + ProcessHandle.current().pid());
    try {
      write(parquet, fresh);
      AtomicFile.move(fresh, lines);
      return lines;
    } catch (IOException e) {
      throw new UserException(
          "%s: its rows can't be written to %s: %s".formatted(parquet, lines, e.getMessage()), e);
    } finally {
      try {
        Files.deleteIfExists(fresh);
      } catch (IOException e) {
        // a rest that nobody reads
      }
    }
  }

  /** Another one when the file is. */
  private static String id(Path parquet) throws IOException {
    Path real = parquet.toRealPath();
    String what =
        real + "\n" + Files.size(real) + "\n" + Files.getLastModifiedTime(real).toMillis();
    try {
      byte[] digest =
          MessageDigest.getInstance("SHA-256").digest(what.getBytes(StandardCharsets.UTF_8));
      return HexFormat.of().formatHex(digest, 0, 12);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  private static void write(Path parquet, Path to) throws IOException {
    try (BufferedWriter out = Files.newBufferedWriter(to)) {
      try (ParquetFileReader file = ParquetFileReader.open(InputFile.of(parquet));
          RowReader rows = file.rowReader()) {
        while (rows.hasNext()) {
          rows.next();
          out.write(object(rows).toString());
          out.write('\n');
        }
      } catch (IOException | RuntimeException e) {
        throw new UserException(parquet + ": no parquet that can be read: " + e.getMessage(), e);
      }
    }
  }

  private static ObjectNode object(StructAccessor struct) {
    ObjectNode object = NODES.objectNode();
    for (int i = 0; i < struct.getFieldCount(); i++) {
      object.set(struct.getFieldName(i), node(struct.isNull(i) ? null : struct.getValue(i)));
    }
    return object;
  }

  private static JsonNode node(@Nullable Object value) {
    return switch (value) {
      case null -> NODES.nullNode();
      case String text -> NODES.textNode(text);
      case Boolean truth -> NODES.booleanNode(truth);
      case Integer number -> NODES.numberNode(number);
      case Long number -> NODES.numberNode(number);
      case Float number -> NODES.numberNode(number);
      case Double number -> NODES.numberNode(number);
      case BigDecimal number -> NODES.numberNode(number);
      case PqStruct struct -> object(struct);
      case PqList list -> {
        ArrayNode array = NODES.arrayNode();
        for (int i = 0; i < list.size(); i++) {
          array.add(node(list.isNull(i) ? null : list.get(i)));
        }
        yield array;
      }
      case PqMap map -> {
        ObjectNode object = NODES.objectNode();
        for (PqMap.Entry entry : map.getEntries()) {
          object.set(String.valueOf(entry.getKey()), node(entry.getValue()));
        }
        yield object;
      }
      case byte[] bytes -> NODES.textNode(Base64.getEncoder().encodeToString(bytes));
      default -> NODES.textNode(value.toString()); // dates, times and the like
    };
  }
}
