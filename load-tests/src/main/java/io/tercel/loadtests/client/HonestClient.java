package io.tercel.loadtests.client;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Asks the same greedy question again and again, and expects the same answer. */
public final class HonestClient {
  private static final Pattern CHOICES = Pattern.compile("\"choices\":.*?(?=\"usage\":)");
  private static final Duration TIMEOUT = Duration.ofSeconds(120);

  private final HttpClient client =
      HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
  private final HttpRequest question;
  private final String expected;
  private final double alone;

  /** What it was answered. */
  public static final class Answers {
    private int same;
    private int refused;
    private int others;
    private double slowest;

    public int same() {
      return same;
    }

    /** Told to come back later: 429 and 503. */
    public int refused() {
      return refused;
    }

    /** Whether it was sent away more often than answered. */
    public boolean lockedOut() {
      return refused > same;
    }

    /** Seconds of the slowest one that was the same. */
    public double slowest() {
      return slowest;
    }

    /** Whether every answer was the expected one, and there was any. */
    public boolean allTheSame() {
      return others == 0 && same > 0;
    }
  }

  /**
   * Asks for the first time, which says what is expected from then on.
   *
   * @param server its address, without {@code /v1}
   * @throws TargetException if the server doesn't answer as it should
   */
  public HonestClient(URI server, @Nullable String apiKey, String model)
      throws InterruptedException {
    String body =
        """
        {"model": "%s", "messages": [{"role": "user", "content": "What is 412 + 358?"}],
         "temperature": 0, "max_tokens": 16, "logprobs": true}"""
            .formatted(model);
    HttpRequest.Builder request =
        HttpRequest.newBuilder(URI.create(server + "/v1/chat/completions"))
            .header("content-type", "application/json")
            .timeout(TIMEOUT)
            .POST(HttpRequest.BodyPublishers.ofString(body));
    if (apiKey != null) {
      request.header("authorization", "Bearer " + apiKey);
    }
    question = request.build();
    try {
      send(); // the first is slower than all others
      long start = System.nanoTime();
      HttpResponse<String> first = send();
      alone = (System.nanoTime() - start) / 1e9;
      if (first.statusCode() != 200) {
        throw new TargetException(
            "the server answers " + first.statusCode() + " before anything is done to it");
      }
      expected = choices(first);
    } catch (IOException e) {
      throw new TargetException("no server answers at " + server + " (" + e + ")", e);
    }
  }

  /** Seconds of an answer when nobody else asks. */
  public double alone() {
    return alone;
  }

  /** Asks once more. */
  public void ask(Answers answers) throws InterruptedException {
    long start = System.nanoTime();
    try {
      HttpResponse<String> answer = send();
      if (answer.statusCode() == 429 || answer.statusCode() == 503) {
        answers.refused++;
      } else if (answer.statusCode() == 200 && choices(answer).equals(expected)) {
        answers.same++;
        answers.slowest = Math.max(answers.slowest, (System.nanoTime() - start) / 1e9);
      } else {
        answers.others++;
      }
    } catch (IOException e) {
      answers.others++;
    }
  }

  private HttpResponse<String> send() throws IOException, InterruptedException {
    return client.send(question, HttpResponse.BodyHandlers.ofString(StandardCharsets.UTF_8));
  }

  private static String choices(HttpResponse<String> answer) {
    Matcher choices = CHOICES.matcher(answer.body());
    return choices.find() ? choices.group() : answer.body();
  }
}
