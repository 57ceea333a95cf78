package io.tercel.loadtests.hostile;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Asks the same greedy question again and again, and expects the same answer. */
final class HonestClient {
  private static final Pattern CHOICES = Pattern.compile("\"choices\":.*?(?=\"usage\":)");
  private static final Duration TIMEOUT = Duration.ofSeconds(120);

  private final HttpClient client =
      HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
  private final HttpRequest question;
  private final String expected;
  private final double alone;

  /** What it was answered. */
  static final class Answers {
    private int same;
    private int refused;
    private int others;
    private double slowest;

    int same() {
      return same;
    }

    /** Told to come back later: 429 and 503. */
    int refused() {
      return refused;
    }

    /** Seconds of the slowest one that was the same. */
    double slowest() {
      return slowest;
    }

    boolean allTheSame() {
      return others == 0 && same > 0;
    }
  }

  HonestClient(Attack.Door door) throws IOException, InterruptedException {
    String body =
        """
        {"model": "%s", "messages": [{"role": "user", "content": "What is 412 + 358?"}],
         "temperature": 0, "max_tokens": 16, "logprobs": true}"""
            .formatted(door.model());
    HttpRequest.Builder request =
        HttpRequest.newBuilder(URI.create(door.server() + "/v1/chat/completions"))
            .header("content-type", "application/json")
            .timeout(TIMEOUT)
            .POST(HttpRequest.BodyPublishers.ofString(body));
    if (door.apiKey() != null) {
      request.header("authorization", "Bearer " + door.apiKey());
    }
    question = request.build();
    send();
    long start = System.nanoTime();
    HttpResponse<String> first = send();
    alone = (System.nanoTime() - start) / 1e9;
    if (first.statusCode() != 200) {
      throw new IOException(
          "the server answers " + first.statusCode() + " before anything is done to it");
    }
    expected = choices(first);
  }

  /** Seconds of an answer when nobody else asks. */
  double alone() {
    return alone;
  }

  void ask(Answers answers) throws InterruptedException {
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
