package io.tercel.server.text;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class TokenizerTest {
  private static final String TEXT = "the 漢🦅 é x漢 <think>\n\nab</think> <｜User｜>the";

  @TempDir Path dir;

  @Test
  void encode_longPrompt_isNotTruncated() throws IOException {
    try (Tokenizer tokenizer = TinyTokenizers.byteLevel(dir)) {
      assertEquals(40_000, tokenizer.encode("q".repeat(40_000), false).length);
    }
  }

  @Test
  void open_forbidsTheLibraryItsNetwork() throws IOException {
    TinyTokenizers.byteLevel(dir).close();
    assertEquals("true", System.getProperty("ai.djl.offline"));
    assertEquals("true", System.getProperty("OPT_OUT_TRACKING"));
  }

  @Test
  void encodeThenDecode_isTheText() throws IOException {
    try (Tokenizer tokenizer = TinyTokenizers.byteLevel(dir)) {
      int[] ids = tokenizer.encode(TEXT, false);
      assertEquals(TEXT, tokenizer.decode(ids, false));
      assertEquals(TEXT.replace("<｜User｜>", ""), tokenizer.decode(ids, true));
      assertEquals(0, tokenizer.encode("", false).length);
      assertEquals("", tokenizer.decode(new int[0], false));
    }
  }

  @Test
  void encode_addsSpecialTokensWhenAsked() throws IOException {
    try (Tokenizer tokenizer = TinyTokenizers.byteLevel(dir)) {
      int bos = tokenizer.tokenId("<|im_start|>").orElseThrow();
      assertEquals(bos, tokenizer.encode("a", true)[0]);
      assertArrayEquals(new int[] {'a'}, tokenizer.encode("a", false));
      // A rendered template has its BOS as text; it becomes the one token.
      assertArrayEquals(new int[] {bos, 'a'}, tokenizer.encode("<|im_start|>a", false));
    }
  }

  @Test
  void tokenBytes_inARow_areTheText() throws IOException {
    try (Tokenizer tokenizer = TinyTokenizers.byteLevel(dir)) {
      ByteArrayOutputStream bytes = new ByteArrayOutputStream();
      for (int id : tokenizer.encode(TEXT, false)) {
        bytes.writeBytes(tokenizer.tokenBytes(id));
      }
      assertEquals(TEXT, bytes.toString(StandardCharsets.UTF_8));
      int half = tokenizer.encode("🦅", false)[0];
      assertEquals("🦅", tokenizer.tokenText(half));
      assertEquals("\ufffd", tokenizer.tokenText(0xf0));
      assertArrayEquals(new byte[] {(byte) 0xf0}, tokenizer.tokenBytes(0xf0));
    }
  }

  @Test
  void idsBeyondTheVocabulary_areNothing() throws IOException {
    try (Tokenizer tokenizer = TinyTokenizers.byteLevel(dir)) {
      assertEquals(TinyTokenizers.BYTE_LEVEL_SIZE, tokenizer.vocabSize());
      int[] ids = {'a', tokenizer.vocabSize(), 151_935, -1, Integer.MIN_VALUE, 'b'};
      assertEquals("ab", tokenizer.decode(ids, false));
      assertEquals(0, tokenizer.tokenBytes(151_935).length);
      assertEquals(0, tokenizer.tokenBytes(-1).length);
      assertFalse(tokenizer.isSpecial(-1));
      assertFalse(tokenizer.isSpecial(151_935));
      assertTrue(tokenizer.isSpecial(tokenizer.tokenId("<|end|>").orElseThrow()));
      assertFalse(tokenizer.isSpecial(tokenizer.tokenId("<think>").orElseThrow()));
      assertTrue(tokenizer.tokenId("nothing").isEmpty());
    }
  }

  @Test
  void wordLevel_unknownIsItsToken() throws IOException {
    try (Tokenizer tokenizer = TinyTokenizers.wordLevel(dir)) {
      assertArrayEquals(new int[] {3, 4, 6, 5, 1}, tokenizer.encode("Tom has!é🦅<think>", false));
      assertEquals("Tom has?é🦅<think>", tokenizer.decode(new int[] {3, 4, 6, 5, 1}, true));
    }
  }

  @Test
  void manyVirtualThreads_agree() throws Exception {
    try (Tokenizer tokenizer = TinyTokenizers.byteLevel(dir);
        var executor = Executors.newVirtualThreadPerTaskExecutor()) {
      String text = TEXT.repeat(50);
      int[] expected = tokenizer.encode(text, false);
      List<Future<Boolean>> results = new ArrayList<>();
      for (int i = 0; i < 200; i++) {
        results.add(
            executor.submit(
                () -> {
                  int[] ids = tokenizer.encode(text, false);
                  return Arrays.equals(expected, ids) && tokenizer.decode(ids, false).equals(text);
                }));
      }
      for (Future<Boolean> result : results) {
        assertTrue(result.get());
      }
    }
  }

  @Test
  void open_missing_namesTheFile() {
    assertOneLine(assertThrows(IOException.class, () -> Tokenizer.open(dir)));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "[]",
        "{",
        "{}",
        "\u0000\u0001",
        "{\"model\": 3}",
        "{\"model\": {\"vocab\": {\"a\": 0}}}",
        "{\"version\": \"1.0\", \"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": [[\"x\", \"y\"]]}}"
      })
  void open_corrupt_namesTheFile(String content) throws IOException {
    Files.writeString(dir.resolve("tokenizer.json"), content);
    assertOneLine(assertThrows(IOException.class, () -> Tokenizer.open(dir)));
  }

  private static void assertOneLine(IOException e) {
    String message = String.valueOf(e.getMessage());
    assertTrue(message.contains("tokenizer.json"), message);
    assertEquals(1, message.lines().count(), message);
  }

  @Test
  void config_readsAllFormsOfTemplate() throws IOException {
    Path file = dir.resolve("tokenizer_config.json");
    Files.writeString(
        file,
        """
        {"bos_token": {"content": "<s>", "special": true}, "eos_token": "</s>", "pad_token": null,
         "chat_template": "plain"}""");
    TokenizerConfig config = TokenizerConfig.read(dir);
    assertEquals(Map.of("bos_token", "<s>", "eos_token", "</s>"), config.specialTokens());
    assertEquals(Optional.of("<s>"), config.token("bos_token"));
    assertEquals(Optional.of("plain"), config.chatTemplate(true));
    Files.writeString(
        file,
        """
        {"chat_template": [{"name": "default", "template": "d"}, {"name": "tool_use", "template": "t"}]}""");
    config = TokenizerConfig.read(dir);
    assertEquals(Optional.of("d"), config.chatTemplate(false));
    assertEquals(Optional.of("t"), config.chatTemplate(true));
    Files.writeString(dir.resolve("chat_template.jinja"), "file");
    assertEquals(Optional.of("file"), TokenizerConfig.read(dir).chatTemplate(false));
    assertEquals(
        Optional.of("file"), TokenizerConfig.read(dir).chatTemplate(true), "files replace all");
    Files.delete(file);
    assertEquals(Map.of("default", "file"), TokenizerConfig.read(dir).chatTemplates());
    Files.writeString(file, "{");
    IOException e = assertThrows(IOException.class, () -> TokenizerConfig.read(dir));
    assertTrue(String.valueOf(e.getMessage()).contains("tokenizer_config.json"));
  }
}
