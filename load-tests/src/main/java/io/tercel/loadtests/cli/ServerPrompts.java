package io.tercel.loadtests.cli;

import io.tercel.loadtests.client.HttpTarget;
import io.tercel.loadtests.client.ServerProbe;
import io.tercel.loadtests.data.PromptMaker;
import io.tercel.loadtests.data.TokenCounter;
import io.tercel.loadtests.data.TokenIdPrompts;
import java.io.PrintWriter;
import java.util.Optional;
import java.util.stream.IntStream;

/** What a server's tokenizer is like, asked when it is wanted. */
final class ServerPrompts {
  /** Single bytes in every byte-level vocabulary, for servers that don't tell their ids. */
  private static final int[] BYTE_IDS = IntStream.range(32, 256).toArray();

  /** English text has about so many to a token. */
  private static final int CHARACTERS_A_TOKEN = 4;

  private final ServerProbe probe;
  private final String endpoint;
  private final String model;
  private final PrintWriter out;

  ServerPrompts(ServerProbe probe, String endpoint, String model, PrintWriter out) {
    this.probe = probe;
    this.endpoint = endpoint;
    this.model = model;
    this.out = out;
  }

  boolean chat() {
    return HttpTarget.isChat(endpoint);
  }

  /** Random prompts of a wanted length. */
  PromptMaker maker() throws InterruptedException {
    if (chat()) {
      return probe.words(endpoint, model);
    }
    Optional<int[]> ids = probe.tokenIds(endpoint, model);
    if (ids.isEmpty()) {
      out.println("The server does not tell token ids; prompts are of ids 32 to 255.");
    }
    return new TokenIdPrompts(ids.orElse(BYTE_IDS));
  }

  /** Counts tokens as the server does, or by characters. */
  TokenCounter counter() throws InterruptedException {
    Optional<TokenCounter> counter = probe.tokenCounter(model);
    if (counter.isEmpty()) {
      out.printf(
          "The server has no /tokenize; %d characters count as a token.%n", CHARACTERS_A_TOKEN);
    }
    return counter.orElse(text -> (text.length() + CHARACTERS_A_TOKEN - 1) / CHARACTERS_A_TOKEN);
  }
}
