package io.tercel.server.hub;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class HubConfigTest {
  @TempDir Path home;

  private HubConfig of(Map<String, String> environment) {
    return HubConfig.of(environment, home);
  }

  @Test
  void cache_followsTheUsualVariables() {
    assertEquals(home.resolve(".cache/huggingface/hub"), of(Map.of()).cache());
    assertEquals(Path.of("/x/huggingface/hub"), of(Map.of("XDG_CACHE_HOME", "/x")).cache());
    assertEquals(Path.of("/h/hub"), of(Map.of("HF_HOME", "/h", "XDG_CACHE_HOME", "/x")).cache());
    assertEquals(Path.of("/c"), of(Map.of("HF_HOME", "/h", "HF_HUB_CACHE", "/c")).cache());
    assertEquals(home.resolve("m/hub"), of(Map.of("HF_HOME", "~/m")).cache());
  }

  @Test
  void endpoint_isCheckedAndLosesItsSlash() {
    assertEquals("https://huggingface.co", of(Map.of()).endpoint().toString());
    assertEquals(
        "http://mirror:8080/hf",
        of(Map.of("HF_ENDPOINT", "http://mirror:8080/hf//")).endpoint().toString());
    for (String bad : new String[] {"mirror", "ftp://x", "http://u:p@x", "http:// x"}) {
      assertThrows(HubException.class, () -> of(Map.of("HF_ENDPOINT", bad)), bad);
    }
  }

  @Test
  void token_comesFromTheVariableElseTheFile() throws IOException {
    assertNull(of(Map.of()).token());
    Path file = home.resolve(".cache/huggingface/token");
    Files.createDirectories(file.getParent());
    Files.writeString(file, "hf_file\n");
    assertEquals("hf_file", of(Map.of()).token());
    assertEquals("hf_env", of(Map.of("HF_TOKEN", "hf_env")).token());
    assertFalse(of(Map.of("HF_TOKEN", "hf_env")).toString().contains("hf_env"));
    assertThrows(HubException.class, () -> of(Map.of("HF_TOKEN", "a\r\nb")));
  }

  @Test
  void offline_isAnyYes() {
    assertTrue(of(Map.of("HF_HUB_OFFLINE", "1")).offline());
    assertTrue(of(Map.of("HF_HUB_OFFLINE", "TRUE")).offline());
    assertFalse(of(Map.of("HF_HUB_OFFLINE", "0")).offline());
  }
}
