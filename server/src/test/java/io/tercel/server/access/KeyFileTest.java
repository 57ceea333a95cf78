package io.tercel.server.access;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.server.call.ApiException;
import io.tercel.server.call.Keys;
import io.tercel.server.call.Rights;
import io.tercel.server.engine.ServiceClass;
import io.tercel.server.yaml.YamlException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.util.HexFormat;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class KeyFileTest {
  @TempDir Path folder;
  private final Keys keys = Keys.withNamed(null, "root-secret");

  private KeyFile file(String text) throws IOException {
    return new KeyFile(write(text), keys);
  }

  private Path write(String text) throws IOException {
    return Files.writeString(folder.resolve("keys.yaml"), text);
  }

  private boolean opens(String key) {
    try {
      keys.clients().admit("Bearer " + key);
      return true;
    } catch (ApiException e) {
      assertEquals(401, e.status());
      return false;
    }
  }

  private static String sha256(String text) throws Exception {
    return HexFormat.of()
        .formatHex(
            MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.US_ASCII)));
  }

  @Test
  void everyField_isRead() throws Exception {
    file("""
            # the team's
            keys:
              - name: alice
                key: alice-secret
                requests_per_minute: 60
                tokens_per_minute: 100000
                classes: [batch, rollout]
                default_class: rollout
              - {name: bob, sha256: %s, expires: "2999-01-01T00:00:00+02:00", admin: true}
            """
            .formatted(sha256("bob-secret")))
        .load();
    var alice = keys.clients().admit("Bearer alice-secret");
    assertEquals("alice", alice.name());
    assertEquals("60", alice.limitHeaders().get("x-ratelimit-limit-requests"));
    assertEquals("100000", alice.limitHeaders().get("x-ratelimit-limit-tokens"));
    assertEquals(ServiceClass.ROLLOUT, alice.serviceClass(null));
    assertEquals(ServiceClass.BATCH, alice.serviceClass(ServiceClass.BATCH));
    assertEquals(
        403,
        assertThrows(ApiException.class, () -> alice.serviceClass(ServiceClass.CHAT)).status());
    assertEquals(Rights.CLIENT, alice.rights());
    var bob = keys.clients().admit("Bearer bob-secret");
    assertEquals(Rights.ADMIN, bob.rights());
    assertEquals(ServiceClass.CHAT, bob.serviceClass(null));
    assertTrue(bob.limitHeaders().isEmpty());
    assertFalse(opens(""));
    assertFalse(opens("alice"));
  }

  @Test
  void json_isYaml() throws Exception {
    file("{\"keys\": [{\"name\": \"a\", \"key\": \"a-secret\"}]}").load();
    assertTrue(opens("a-secret"));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "keys: [{name: a}] | line 1: keys[0] must have either key or sha256",
        "keys: [{name: a, key: x, sha256: y}] | line 1: keys[0] must have either key or sha256",
        "keys: [{key: x}] | line 1: keys[0] has no name",
        "keys: [{name: a b, key: x}] | line 1: keys[0].name must be 1 to 64 letters",
        "keys: [{name: admin-key, key: x}] | line 1: keys[0].name must not be 'admin-key'",
        "keys: [{name: a, key: hé}] | line 1: keys[0].key must be of visible ASCII",
        "keys: [{name: a, key: }] | line 1: keys[0].key has no value",
        "keys: [{name: a, sha256: 12}] | line 1: keys[0].sha256 must be the 64 hexadecimal digits",
        "keys: [{name: a, sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855}] | line 1: keys[0].sha256 is the SHA-256 of an empty text",
        "keys:\\n- name: a\\n  key: x\\n  tokens_per_minute: many | line 4: keys[0].tokens_per_minute must be an integer from 1",
        "keys:\\n- name: a\\n  key: x\\n  requests_per_minute: 0 | line 4: keys[0].requests_per_minute must be an integer from 1",
        "keys:\\n- name: a\\n  key: x\\n  request_per_minute: 5 | line 4: keys[0].request_per_minute is no field of it; did you mean 'requests_per_minute'?",
        "keys:\\n- name: a\\n  key: x\\n  admin: yes | line 4: keys[0].admin must be true or false",
        "keys:\\n- name: a\\n  key: x\\n  classes: [] | line 4: keys[0].classes must name one class",
        "keys:\\n- name: a\\n  key: x\\n  classes: [chat, vip] | line 4: keys[0].classes[1] must be chat, rollout or batch",
        "keys:\\n- name: a\\n  key: x\\n  classes: [chat]\\n  default_class: batch | line 5: keys[0].default_class must be one of the key's",
        "keys:\\n- name: a\\n  key: x\\n  expires: 2027-01-31 | line 4: keys[0].expires must be a time with its zone, such as",
        "keys:\\n- name: a\\n  key: x\\n  name: b | line 4: keys[0].name is there twice",
        "keys:\\n- name: a\\n  key: x\\n- name: a\\n  key: y | two keys have the name 'a'",
        "keys:\\n- name: a\\n  key: x\\n- name: b\\n  key: x | the keys 'a' and 'b' are the same",
        "keys:\\n- name: a\\n  key: root-secret | the key 'a' is the same as --admin-key",
        "- name: a | line 1: must have fields",
        "people: [] | line 1: people is no field of it; did you mean 'keys'?",
        "{} | line 1: must have 'keys:'",
        "keys: [ | line 1: is not YAML",
        "keys: [{name: a, key: x-secret, | is not YAML",
        "'' | is empty",
      })
  void badFile_namesLineAndField(String text, String expected) throws Exception {
    KeyFile file = file(text.replace("\\n", "\n"));
    YamlException e = assertThrows(YamlException.class, file::load);
    assertTrue(
        String.valueOf(e.getMessage()).startsWith("keys.yaml"), String.valueOf(e.getMessage()));
    assertTrue(String.valueOf(e.getMessage()).contains(expected), e.getMessage());
    assertFalse(String.valueOf(e.getMessage()).contains("x-secret"), "no key is shown");
  }

  @Test
  void noFile_saysSo() {
    KeyFile file = new KeyFile(folder.resolve("none.yaml"), keys);
    YamlException e = assertThrows(YamlException.class, file::load);
    assertTrue(String.valueOf(e.getMessage()).endsWith("none.yaml is not there"), e.getMessage());
  }

  @Test
  void change_holds_whateverItsTimeAndLength() throws Exception {
    KeyFile file = file("keys: [{name: a, key: first-1}]");
    file.load();
    FileTime time = Files.getLastModifiedTime(folder.resolve("keys.yaml"));
    Files.setLastModifiedTime(write("keys: [{name: a, key: other-1}]"), time);
    file.check();
    assertFalse(opens("first-1"));
    assertTrue(opens("other-1"));
    assertEquals(2, file.loads());
  }

  @Test
  void badAfterGood_keepsTheGood_untilThereIsAGoodOneAgain() throws Exception {
    KeyFile file = file("keys: [{name: a, key: a-secret}]");
    file.load();
    write("keys: [{name: a, ky: a-secret}]");
    file.check();
    file.check();
    assertTrue(opens("a-secret"));
    assertFalse(file.good());
    assertEquals(1, file.failures(), "once a fault, not once a look");
    Files.delete(folder.resolve("keys.yaml"));
    file.check();
    file.check();
    assertTrue(opens("a-secret"));
    assertFalse(file.good());
    assertEquals(2, file.failures());
    write("keys: [{name: a, key: a-secret}]");
    file.check();
    assertTrue(file.good());
    write("keys: []");
    file.check();
    assertFalse(opens("a-secret"));
    assertFalse(opens(""), "an empty list opens nothing");
    assertTrue(file.good());
  }

  @Test
  void fileThatOthersMayRead_isWarnedOf() throws Exception {
    Path path = write("keys: []");
    Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rw-r--r--"));
    assertTrue(KeyFile.warnOfReaders(path));
    Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rw-------"));
    assertFalse(KeyFile.warnOfReaders(path));
  }
}
