package io.tercel.trainer.eval;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.server.client.ChatClient;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Asks all problems of several suites that aren't answered in the log yet. */
final class SuiteRun {
  private final ChatClient client;
  private final String model;
  private final List<Suite> suites;
  private final EvalPlan how;

  /**
   * @param how all of a plan but its problems
   */
  SuiteRun(ChatClient client, String model, List<Suite> suites, EvalPlan how) {
    this.client = client;
    this.model = model;
    this.suites = List.copyOf(suites);
    this.how = how;
  }

  /** What the answers of one log have in common. */
  ObjectNode settings() {
    ObjectNode settings = JsonNodeFactory.instance.objectNode();
    settings.put("model", model).put("temperature", how.temperature());
    if (how.topP() != null) {
      settings.put("top_p", how.topP());
    }
    if (how.maxTokens() != null) {
      settings.put("max_tokens", how.maxTokens());
    }
    if (how.template() != null) {
      settings.put("prompt_template", how.template().text());
    }
    return settings;
  }

  /** Answers that are not in the log. */
  int left(SuiteLog log) {
    int left = 0;
    for (Suite suite : suites) {
      for (long seed : how.seeds()) {
        for (BenchmarkProblem problem : suite.problems()) {
          left += log.score(suite.name(), seed, problem.id()).isPresent() ? 0 : 1;
        }
      }
    }
    return left;
  }

  /**
   * Runs, and gathers what is in the log then.
   *
   * @param listener hears of each new answer when it is in the log
   */
  SuiteTable run(SuiteLog log, EvalRun.Listener listener) throws InterruptedException {
    for (Suite suite : suites) {
      EvalPlan plan = how.with(suite.problems());
      new EvalRun(
              client,
              model,
              plan,
              suite.judge(),
              (seed, problem) -> log.score(suite.name(), seed, problem.id()).isPresent())
          .run(
              result -> {
                try {
                  log.add(suite.name(), result);
                } catch (IOException e) {
                  throw new UncheckedIOException(e);
                }
                listener.result(result);
              });
    }
    return table(log);
  }

  private SuiteTable table(SuiteLog log) {
    SuiteTable table = new SuiteTable();
    for (Suite suite : suites) {
      List<SuiteScore> scores = new ArrayList<>();
      for (long seed : how.seeds()) {
        for (BenchmarkProblem problem : suite.problems()) {
          Optional<SuiteScore> score = log.score(suite.name(), seed, problem.id());
          score.ifPresent(scores::add);
        }
      }
      table.add(suite.name(), scores);
    }
    return table;
  }
}
