package io.tercel.trainer.files;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.server.UserException;
import io.tercel.server.hub.HubException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Files that pyarrow has written, as the hub's are. */
class ParquetLinesTest {
  @TempDir Path cache;

  private static Path resource(String name) throws Exception {
    return Path.of(ParquetLinesTest.class.getResource("/parquet/" + name).toURI());
  }

  @Test
  void rows_areLines() throws Exception {
    List<String> expected =
        List.of(
            "{\"question\":\"Tom has 3 pens and buys 4. How many?\",\"answer\":\"3+4=7\\n#### 7\"}",
            "{\"question\":\"What is 2+2?\\nThink.\",\"answer\":\"2+2=4\\n#### 4\"}");
    for (String file : List.of("test-00000-of-00001.parquet", "plain.parquet")) {
      assertEquals(expected, Files.readAllLines(ParquetLines.of(resource(file), cache)), file);
    }
  }

  /** zstd, two row groups, lists of texts, truths and objects, and nothing at all of each. */
  @Test
  void nestedColumns_keepTheirShape() throws Exception {
    List<String> lines =
        Files.readAllLines(ParquetLines.of(resource("nested-zstd.parquet"), cache));
    assertEquals(3, lines.size());
    assertEquals(
        "{\"problem\":\"What is 1+1?\",\"answer\":\"2\",\"generations\":[\"<think>\\n1+1=2\\n</think>"
            + "\\n\\nIt is \\\\boxed{2}.\",\"no\"],\"correctness_math_verify\":[true,false],\"messages\":"
            + "[{\"role\":\"user\",\"content\":\"What is 1+1?\"},{\"role\":\"assistant\",\"content\":\"2\"}],"
            + "\"year\":2022,\"score\":0.5,\"meta\":{\"role\":\"a\",\"content\":null}}",
        lines.get(0));
    assertEquals(
        "{\"problem\":\"What is 5·5? “quoted”\",\"answer\":\"25\",\"generations\":[],"
            + "\"correctness_math_verify\":[],\"messages\":[],\"year\":null,\"score\":null,\"meta\":null}",
        lines.get(1));
    assertEquals(
        "{\"problem\":null,\"answer\":null,\"generations\":null,\"correctness_math_verify\":null,"
            + "\"messages\":null,\"year\":2024,\"score\":2.0,\"meta\":null}",
        lines.get(2));
  }

  @Test
  void file_isWrittenOutOnce_andAgainWhenItIsAnother() throws Exception {
    Path file = Files.copy(resource("plain.parquet"), cache.resolve("file.parquet"));
    Path lines = ParquetLines.of(file, cache);
    FileTime written = Files.getLastModifiedTime(lines);
    assertEquals(lines, ParquetLines.of(file, cache));
    assertEquals(written, Files.getLastModifiedTime(lines));
    Files.setLastModifiedTime(file, FileTime.fromMillis(1_000_000));
    assertNotEquals(lines, ParquetLines.of(file, cache));
  }

  @Test
  void broken_isOneClearLine() throws Exception {
    byte[] whole = Files.readAllBytes(resource("nested-zstd.parquet"));
    for (int length : new int[] {0, 4, 100, whole.length / 2, whole.length - 1}) {
      Path cut = cache.resolve("cut.parquet");
      Files.write(cut, java.util.Arrays.copyOf(whole, length));
      UserException e = assertThrows(UserException.class, () -> ParquetLines.of(cut, cache));
      assertTrue(
          String.valueOf(e.getMessage()).contains("cut.parquet: no parquet that can be read"),
          e::toString);
    }
    try (var left = Files.list(cache)) {
      assertEquals(List.of("cut.parquet"), left.map(f -> f.getFileName().toString()).toList());
    }
  }

  @Test
  void sources_areFilesFoldersAndTheHub() throws Exception {
    Path folder = Files.createDirectory(cache.resolve("folder"));
    Path lines = Files.writeString(folder.resolve("b.jsonl"), "{}\n");
    Path parquet = Files.copy(resource("plain.parquet"), folder.resolve("a.parquet"));
    Files.writeString(folder.resolve("README.md"), "no");
    List<String> asked = new ArrayList<>();
    DataFiles.Hub hub =
        (repo, choice) -> {
          asked.add(repo.kind() + " " + repo + " " + choice.pattern() + " " + choice.split());
          return List.of(lines);
        };
    List<Path> found = DataFiles.find("--data", folder.toString(), "train", hub);
    assertEquals(List.of(ParquetLines.of(parquet), lines), found);
    assertEquals(List.of(), asked);
    assertEquals(List.of(lines), DataFiles.find("--data", "acme/sums", "train", hub));
    String address = "hf://datasets/acme/sums@v1/main/*.jsonl";
    assertEquals(List.of(lines), DataFiles.find("--data", address, "test", hub));
    assertEquals(
        List.of("DATASET acme/sums  train", "DATASET acme/sums@v1 main/*.jsonl test"), asked);
    refuse("hf://datasets/acme", hub, "give hf://datasets/ORG/NAME[@REVISION][/PATTERN]");
    refuse("no/such/file.jsonl", hub, "--data: no such file");
    refuse(
        "acme/sums",
        (_, _) -> {
          throw new HubException("acme/sums: not found");
        },
        "--data: acme/sums: not found");
  }

  private static void refuse(String source, DataFiles.Hub hub, String why) {
    UserException e =
        assertThrows(UserException.class, () -> DataFiles.find("--data", source, "train", hub));
    assertTrue(String.valueOf(e.getMessage()).contains(why), e::toString);
  }
}
