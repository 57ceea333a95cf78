package io.tercel.server.yaml;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import org.snakeyaml.engine.v2.api.LoadSettings;
import org.snakeyaml.engine.v2.api.lowlevel.Compose;
import org.snakeyaml.engine.v2.exceptions.Mark;
import org.snakeyaml.engine.v2.exceptions.MarkedYamlEngineException;
import org.snakeyaml.engine.v2.exceptions.YamlEngineException;
import org.snakeyaml.engine.v2.nodes.Node;

/** Reads files of YAML 1.2, of which JSON is a part. */
public final class YamlFile {
  /** More is no file of settings. */
  public static final int MAX_BYTES = 4 << 20;

  private YamlFile() {}

  /**
   * The one document of a file.
   *
   * @param name for errors
   * @throws YamlException if it is none, with its place; nothing of the file is shown
   */
  public static YamlValue read(String name, byte[] bytes) {
    LoadSettings settings =
        LoadSettings.builder().setLabel(name).setMaxAliasesForCollections(50).build();
    try {
      Node root =
          new Compose(settings)
              .composeString(decode(name, bytes))
              .orElseThrow(() -> new YamlException(name + " is empty"));
      return new YamlValue(name, "", root);
    } catch (MarkedYamlEngineException e) {
      int line = e.getProblemMark().map(Mark::getLine).orElse(0) + 1;
      throw new YamlException("%s, line %d: is not YAML: %s".formatted(name, line, e.getProblem()));
    } catch (YamlEngineException e) {
      throw new YamlException(name + ": is not YAML: it has characters that YAML has not");
    }
  }

  private static String decode(String name, byte[] bytes) {
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
    } catch (CharacterCodingException e) {
      throw new YamlException(name + " is not UTF-8");
    }
  }
}
