package io.tercel.trainer.eval;

import io.tercel.server.UserException;
import io.tercel.server.client.ChatAnswer;
import io.tercel.server.client.ChatCall;
import io.tercel.server.client.ChatClient;
import io.tercel.server.client.ChatException;
import io.tercel.server.client.ChatSink;
import io.tercel.server.client.ChatTurn;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
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
  private final Judge judge;
  private final Answered answered;

  EvalRun(ChatClient client, String model, EvalPlan plan) {
    this(client, model, plan, Duration.ofSeconds(1));
  }

  EvalRun(ChatClient client, String model, EvalPlan plan, Duration firstPause) {
    this(client, model, plan, firstPause, Judge.ANSWERS, (seed, problem) -> false);
  }

  /** A run of a part: {@code answered} says what needs no asking again. */
  EvalRun(ChatClient client, String model, EvalPlan plan, Judge judge, Answered answered) {
    this(client, model, plan, Duration.ofSeconds(1), judge, answered);
  }

  private EvalRun(
      ChatClient client,
      String model,
      EvalPlan plan,
      Duration firstPause,
      Judge judge,
      Answered answered) {
    this.client = client;
    this.model = model;
    this.plan = plan;
    this.firstPause = firstPause;
    this.judge = judge;
    this.answered = answered;
  }

  /** Which answers are there already. */
  interface Answered {
    boolean is(long seed, BenchmarkProblem problem);
  }

  /** Asks all; an interrupt stops the requests under way. */
  void run(Listener listener) throws InterruptedException {
    Semaphore slots = new Semaphore(plan.concurrency(), true);
    ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
    try {
      Deque<Future<EvalResult>> futures = new ArrayDeque<>(plan.size());
      for (long seed : plan.seeds()) {
        for (int i = 0; i < plan.problems().size(); i++) {
          int index = i;
          if (!answered.is(seed, plan.problems().get(i))) {
            futures.add(threads.submit(() -> judged(slots, seed, index)));
          }
        }
      }
      while (!futures.isEmpty()) { // none is kept behind its turn: texts are long
        listener.result(futures.remove().get());
      }
    } catch (ExecutionException e) {
      if (e.getCause() instanceof UserException mendable) {
        throw mendable;
      }
      throw new IllegalStateException(e.getCause());
    } finally {
      threads.shutdownNow();
    }
  }

  private EvalResult judged(Semaphore slots, long seed, int index) throws InterruptedException {
    EvalResult asked;
    slots.acquire();
    try {
      asked = ask(seed, index);
    } finally {
      slots.release();
    }
    // Judging may take long too, and the server has others to answer meanwhile.
    return asked.error() == null
        ? asked.judged(judge.check(asked.problem(), asked.answer().text()))
        : asked;
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
        return new EvalResult(problem, seed, requestSeed, answer, null, false, null);
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
