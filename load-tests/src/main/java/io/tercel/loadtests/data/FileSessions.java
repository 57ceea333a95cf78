package io.tercel.loadtests.data;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Sessions of a file in ShareGPT's layout: what its users said, in the file's order, and again from
 * the beginning when they run out. The answers of the file are not used; the server's are.
 */
public final class FileSessions implements Sessions {
  private final List<Script> scripts;

  private FileSessions(List<Script> scripts) {
    this.scripts = scripts;
  }

  /**
   * Reads a file.
   *
   * @param maxTurns of a session; what comes later in it is left out
   * @throws DatasetException if nothing of the file can be used
   */
  public static FileSessions read(Path file, int maxTurns) throws IOException {
    List<Script> scripts = new ArrayList<>();
    for (Conversation conversation : ConversationFile.read(file)) {
      String system =
          conversation.messages().stream()
              .filter(message -> message.role() == Conversation.Role.SYSTEM)
              .map(Conversation.Message::text)
              .findFirst()
              .orElse("");
      List<String> turns =
          conversation.messages().stream()
              .filter(message -> message.role() == Conversation.Role.USER)
              .filter(message -> !message.text().isBlank())
              .map(Conversation.Message::text)
              .limit(maxTurns)
              .toList();
      if (!turns.isEmpty()) {
        scripts.add(new Script(system, turns));
      }
    }
    if (scripts.isEmpty()) {
      throw new DatasetException(file + ": in no conversation does a user (from: human) speak");
    }
    return new FileSessions(scripts);
  }

  /** How many different ones there are. */
  public int size() {
    return scripts.size();
  }

  @Override
  public Script script(long index) {
    return scripts.get((int) (index % scripts.size()));
  }
}
