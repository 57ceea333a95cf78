package io.tercel.server.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.server.UserException;
import io.tercel.server.hub.DownloadProgress;
import io.tercel.server.hub.HubClient;
import io.tercel.server.hub.HubConfig;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ModelLocatorTest {
  private static final String COMMIT = "0123456789abcdef0123456789abcdef01234567";

  @TempDir Path folder;

  private Path locate(String argument) {
    HubConfig config = new HubConfig(folder, URI.create("http://127.0.0.1:1"), null, true);
    return ModelLocator.locate(argument, () -> new HubClient(config, DownloadProgress.SILENT));
  }

  @Test
  void locate_folder_wins() throws IOException {
    Path model = Files.createDirectory(folder.resolve("model"));
    assertEquals(model, locate(model.toString()));
  }

  @Test
  void locate_cachedModel_isFoundOffline() throws IOException {
    Path repo = folder.resolve("models--acme--tiny");
    Path snapshot = Files.createDirectories(repo.resolve("snapshots").resolve(COMMIT));
    for (String name : List.of("config.json", "tokenizer.json", "model.safetensors")) {
      Files.writeString(snapshot.resolve(name), "x");
    }
    Files.createDirectories(repo.resolve("refs"));
    Files.writeString(repo.resolve("refs/main"), COMMIT);
    assertEquals(snapshot, locate("acme/tiny"));
    assertEquals(snapshot, locate("acme/tiny@" + COMMIT));
  }

  @Test
  void locate_anythingElse_saysWhatIsAccepted() throws IOException {
    Path file = Files.writeString(folder.resolve("x.gguf"), "");
    for (String bad :
        List.of("", "tiny", "/no/such/folder", "a/b/c", "a/b@", "../x", "a\u0000b", "" + file)) {
      UserException e = assertThrows(UserException.class, () -> locate(bad), bad);
      assertTrue(String.valueOf(e.getMessage()).startsWith("--model: "), e.getMessage());
    }
    UserException e = assertThrows(UserException.class, () -> locate("acme/tiny"));
    assertTrue(String.valueOf(e.getMessage()).contains("HF_HUB_OFFLINE"), e.getMessage());
  }
}
