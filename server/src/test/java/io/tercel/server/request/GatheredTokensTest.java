package io.tercel.server.request;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.tercel.kernels.ops.TokenResult;
import io.tercel.kernels.ops.TokenResult.TokenLogprob;
import io.tercel.server.answer.ChoiceDelta;
import io.tercel.server.answer.GenerationReader;
import io.tercel.server.call.ApiException;
import io.tercel.server.engine.EngineEvent.PromptScored;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;

class GatheredTokensTest {
  private static final GenerationReader.Sink NOWHERE =
      new GenerationReader.Sink() {
        @Override
        public void delta(ChoiceDelta delta) {}
      };

  private static PromptScored scores(int tokens, int top) {
    List<TokenLogprob> likeliest = Collections.nCopies(top, new TokenLogprob(1, -1f));
    return new PromptScored(Collections.nCopies(tokens, new TokenResult(1, -1f, 1, likeliest)));
  }

  /** Whoever would pass the limit is refused; what others hold stays, and comes free with them. */
  @Test
  void limit_isOfAllRequestsTogether() {
    GatheredTokens gathered = new GatheredTokens(100_000);
    GatheredTokens.Share first = gathered.share();
    first.counting(NOWHERE, true).promptScored(scores(100, 20));
    long held = gathered.used();
    assertTrue(held >= 100 * 20 * 24, "bytes: " + held);
    try (GatheredTokens.Share second = gathered.share()) {
      GenerationReader.Sink sink = second.counting(NOWHERE, true);
      ApiException e = assertThrows(ApiException.class, () -> sink.promptScored(scores(100, 20)));
      assertEquals(503, e.status());
      assertTrue(String.valueOf(e.getMessage()).contains("stream: true"), e.getMessage());
    }
    assertEquals(held, gathered.used());
    first.close();
    first.close();
    assertEquals(0, gathered.used());
  }
}
