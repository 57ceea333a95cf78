package io.tercel.trainer.eval;

import io.tercel.server.client.ChatAnswer;
import io.tercel.server.client.ChatCall;
import io.tercel.server.client.ChatClient;
import io.tercel.server.client.ChatException;
import io.tercel.server.client.ChatSink;
import io.tercel.server.client.ChatTurn;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;

/**
 * Asks a server every problem under every seed, several at a time, and hands on the results in the
 * order of seeds and problems, whenever they came. A request that fails for a passing reason is
 * repeated; one that fails for good counts as wrong and is reported as an error.
 */
final class EvalRun {
  private static final int ATTEMPTS = 5;
  private static final Duration LONGEST_PAUSE = Duration.ofSeconds(60);

  /** Hears of results, on the thread that runs. */
  interface Listener {
    /** One result, in order. */
    void result(EvalResult result);
  }

  private final ChatClient client;
  private final String model;
  private final EvalPlan plan;
  private final Duration firstPause;

  EvalRun(ChatClient client, String model, EvalPlan plan) {
    this(client, model, plan, Duration.ofSeconds(1));
  }

  EvalRun(ChatClient client, String model, EvalPlan plan, Duration firstPause) {
    this.client = client;
    this.model = model;
    this.plan = plan;
    this.firstPause = firstPause;
  }

  /** Asks all; an interrupt stops the requests under way. */
  void run(Listener listener) throws InterruptedException {
    Semaphore slots = new Semaphore(plan.concurrency(), true);
    ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
    try {
      List<Future<EvalResult>> futures = new ArrayList<>(plan.size());
      for (long seed : plan.seeds()) {
        for (int i = 0; i < plan.problems().size(); i++) {
          int index = i;
          futures.add(
              threads.submit(
                  () -> {
                    slots.acquire();
                    try {
                      return ask(seed, index);
                    } finally {
                      slots.release();
                    }
                  }));
        }
      }
      for (Future<EvalResult> future : futures) {
        listener.result(future.get());
      }
    } catch (ExecutionException e) {
      throw new IllegalStateException(e.getCause());
    } finally {
      threads.shutdownNow();
    }
  }

  private EvalResult ask(long seed, int index) throws InterruptedException {
    BenchmarkProblem problem = plan.problems().get(index);
    Long requestSeed = plan.greedy() ? null : EvalPlan.requestSeed(seed, index);
    ChatCall call =
        new ChatCall(
            model,
            List.of(ChatTurn.user(plan.prompt(problem))),
            plan.temperature(),
            plan.topP(),
            plan.maxTokens(),
            requestSeed);
    for (int attempt = 1; ; attempt++) {
      try {
        ChatAnswer answer = client.open(call).read(ChatSink.NONE);
        AnswerChecker.Verdict verdict =
            AnswerChecker.EVALUATION.check(answer.text(), problem.answer());
        return new EvalResult(
            problem, seed, requestSeed, answer, verdict.given(), verdict.correct(), null);
      } catch (ChatException e) {
        if (!e.passing() || attempt == ATTEMPTS) {
          ChatAnswer none = new ChatAnswer("", "", EvalResult.ERROR, -1, -1, -1);
          return new EvalResult(
              problem, seed, requestSeed, none, null, false, String.valueOf(e.getMessage()));
        }
        long pause = Math.max(firstPause.toMillis() << (attempt - 1), e.retryAfterSeconds() * 1000);
        Thread.sleep(Math.min(pause, LONGEST_PAUSE.toMillis()));
      }
    }
  }
}
