package io.tercel.server.api;

import io.tercel.server.engine.Generation;
import io.tercel.server.engine.GenerationRequest;
import io.tercel.server.engine.SamplingParams;
import io.tercel.server.text.OutputText;
import io.tercel.server.text.StopMatcher;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/** Submits prompts to the engine and reads what comes back; both completion routes use it. */
final class Sequencing {
  private final ServedModel model;
  private final ServerMetrics metrics;

  Sequencing(ServedModel model, ServerMetrics metrics) {
    this.model = model;
    this.metrics = metrics;
  }

  /**
   * Submits a prompt; from then on the client's leaving cancels it.
   *
   * @param form what the outputs are taken apart into
   * @param arrived when the request came, by {@link System#nanoTime}
   */
  @SuppressWarnings("TooManyParameters")
  GenerationReader submit(
      Caller caller,
      String id,
      int[] prompt,
      SamplingParams params,
      CommonFields common,
      AnswerForm form,
      long arrived) {
    Generation generation =
        model.engine().submit(new GenerationRequest(id, prompt, params, common.priority()));
    caller.whenGone(generation::cancel);
    metrics.prompt(prompt.length, params);
    ChoiceReader.EndTokens endTokens =
        new ChoiceReader.EndTokens(
            params.ending().ignoreEos() ? Set.of() : model.eosTokenIds(),
            params.ending().stopTokenIds(),
            common.includeStop());
    List<ChoiceReader> choices = new ArrayList<>(params.n());
    for (int i = 0; i < params.n(); i++) {
      OutputText output =
          new OutputText(
              model.tokenizer().detokenizer(common.skipSpecialTokens()),
              form.reasoning(),
              new StopMatcher(common.stops(), common.includeStop()),
              params.ending().minTokens(),
              form.splits());
      choices.add(new ChoiceReader(i, output, form.toolCalls(), endTokens));
    }
    return new GenerationReader(generation, choices, metrics, caller, arrived);
  }
}
