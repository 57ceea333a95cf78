package io.tercel.server.hub;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.PipedInputStream;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class HubClientTest {
  private static final Retry QUICK = new Retry(3, Duration.ofMillis(2));
  private static final HubRepo REPO = HubRepo.parse("acme/tiny").orElseThrow();
  private static final String WEIGHTS = "model.safetensors";

  @TempDir Path cache;
  private FakeHub hub;
  private byte[] weights;
  private final CountDownLatch closed = new CountDownLatch(1);

  @BeforeEach
  void startHub() throws IOException {
    hub = new FakeHub();
    weights = new byte[700_001];
    new Random(1).nextBytes(weights);
    hub.put("config.json", "{\"model_type\":\"qwen3\"}");
    hub.put("generation_config.json", "{}");
    hub.put("tokenizer.json", "{}");
    hub.put("tokenizer_config.json", "{}");
    hub.put("chat_template.jinja", "{{ 1 }}");
    hub.put("README.md", "no");
    hub.put("pytorch_model.bin", "no");
    hub.put("onnx/model.onnx", "no");
    hub.put("original/model.safetensors", "no");
    hub.put(WEIGHTS, weights);
  }

  @AfterEach
  void stopHub() {
    hub.close();
  }

  private HubClient client(@Nullable String token, boolean offline) {
    return new HubClient(
        new HubConfig(cache, hub.endpoint(), token, offline), DownloadProgress.SILENT, QUICK);
  }

  private Path fetch() {
    return client(null, false).fetch(REPO);
  }

  private static String refusal(Executable fetch) {
    return String.valueOf(assertThrows(HubException.class, fetch).getMessage());
  }

  private String failure() {
    return refusal(this::fetch);
  }

  private static List<String> names(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(f -> f.getFileName().toString()).sorted().toList();
    }
  }

  @Test
  void fetch_wholeModel_isLaidOutAsHuggingFaceDoes() throws IOException {
    Path snapshot = fetch();
    Path repo = cache.resolve("models--acme--tiny");
    assertEquals(repo.resolve("snapshots").resolve(FakeHub.COMMIT), snapshot);
    assertEquals(
        List.of(
            "chat_template.jinja",
            "config.json",
            "generation_config.json",
            WEIGHTS,
            "tokenizer.json",
            "tokenizer_config.json"),
        names(snapshot));
    assertEquals(FakeHub.COMMIT, Files.readString(repo.resolve("refs/main")));
    assertArrayEquals(weights, Files.readAllBytes(snapshot.resolve(WEIGHTS)));
    assertEquals(
        Path.of("../../blobs/" + FakeHub.sum("SHA-256", weights)),
        Files.readSymbolicLink(snapshot.resolve(WEIGHTS)));
    assertTrue(names(repo.resolve("blobs")).stream().noneMatch(n -> n.endsWith(".incomplete")));
    assertEquals(0, hub.count("GET", "pytorch_model.bin") + hub.count("HEAD", "README.md"));
  }

  @Test
  void fetch_second_touchesNoNetwork() {
    Path first = fetch();
    hub.close();
    assertEquals(first, fetch());
    assertEquals(first, client(null, true).fetch(REPO));
    HubRepo commit = HubRepo.parse("acme/tiny@" + FakeHub.COMMIT).orElseThrow();
    assertEquals(first, client(null, true).fetch(commit));
  }

  private static DataChoice choice(String pattern) {
    return new DataChoice(pattern, "test");
  }

  private static List<String> below(Path snapshot, List<Path> files) {
    return files.stream().map(file -> snapshot.relativize(file).toString()).toList();
  }

  @Test
  void data_areFilesOfADataSet() throws IOException {
    hub.put("main/train-00000.parquet", "training");
    hub.put("main/test-00000.parquet", "asked");
    hub.put("socratic/test.jsonl", "other");
    HubRepo data = REPO.dataset();
    Path snapshot = cache.resolve("datasets--acme--tiny/snapshots").resolve(FakeHub.COMMIT);
    List<Path> files = client(null, false).fetch(data, choice("main"));
    assertEquals(List.of("main/test-00000.parquet"), below(snapshot, files));
    assertEquals("asked", Files.readString(files.getFirst()));
    assertEquals(1, hub.count("GET", "/api/datasets/acme/tiny/revision/main"));
    assertEquals(
        1,
        hub.count(
            "GET", "/datasets/acme/tiny/resolve/" + FakeHub.COMMIT + "/main/test-00000.parquet"));
    hub.close();
    assertEquals(files, client(null, true).fetch(data, choice("main")), "it is in the cache");
    String other = refusal(() -> client(null, true).fetch(data, choice("socratic")));
    assertTrue(other.contains("HF_HUB_OFFLINE"), other);
    String model = refusal(() -> client(null, true).fetch(REPO));
    assertTrue(model.contains("HF_HUB_OFFLINE"), "a model of that name is something else");
  }

  @Test
  void data_areChosenByPathAndSplit() {
    SortedSet<String> names =
        new TreeSet<>(
            List.of(
                "README.md",
                "a/test-1.jsonl",
                "a/test-2.jsonl",
                "a/train.jsonl",
                "b/latest.csv",
                "b/contested.jsonl",
                "data.parquet"));
    HubRepo data = REPO.dataset();
    assertEquals(List.of("a/test-1.jsonl", "a/test-2.jsonl"), choice("").of(data, names));
    assertEquals(List.of("a/test-2.jsonl"), choice("a/*2.jsonl").of(data, names));
    assertEquals(List.of("a/test-1.jsonl", "a/test-2.jsonl"), choice("*").of(data, names));
    assertEquals(List.of("b/contested.jsonl", "b/latest.csv"), choice("b").of(data, names));
    assertEquals(List.of("data.parquet"), choice("data.parquet").of(data, names));
    assertEquals(List.of("a/train.jsonl"), new DataChoice("a", "train").of(data, names));
    String none = refusal(() -> choice("c*").of(data, names));
    assertEquals(
        "acme/tiny has no .jsonl, .parquet or .csv that is 'c*'; it has a/test-1.jsonl,"
            + " a/test-2.jsonl, a/train.jsonl, b/contested.jsonl, b/latest.csv, data.parquet",
        none);
  }

  @Test
  void fetch_offlineAndAbsent_saysWhatToUnset() {
    String message = refusal(() -> client(null, true).fetch(REPO));
    assertTrue(message.contains("HF_HUB_OFFLINE"), message);
    assertTrue(hub.seen.isEmpty());
  }

  @Test
  void fetch_bodyCutThreeTimes_resumesByRangeAndMatches() throws IOException {
    hub.cuts.addAll(List.of(100_000, 0, 200_000, 50_000));
    Path snapshot = fetch();
    assertArrayEquals(weights, Files.readAllBytes(snapshot.resolve(WEIGHTS)));
    List<String> ranges =
        hub.seen.stream()
            .filter(s -> s.path().equals("/store/" + WEIGHTS))
            .map(FakeHub.Seen::range)
            .toList();
    assertEquals(5, ranges.size());
    // A connection that breaks may take bytes with it that the client had not handed on yet.
    long last = 0;
    for (String range : ranges.subList(1, 5)) {
      long from = Long.parseLong(range.replace("bytes=", "").replace("-", ""));
      assertTrue(from >= last && from > 0 && from <= 350_000, ranges::toString);
      last = from;
    }
    assertTrue(last > 200_000, ranges::toString);
  }

  @Test
  void fetch_connectionThatGetsNowhere_failsThenGoesOnLater() throws IOException {
    hub.cuts.addAll(List.of(300_000, 0, 0, 0, 0));
    String message = failure();
    assertTrue(message.contains("ended after") && message.contains("of 700001 bytes"), message);
    assertEquals(
        List.of(FakeHub.sum("SHA-256", weights) + ".incomplete"),
        names(cache.resolve("models--acme--tiny/blobs")).stream()
            .filter(n -> n.endsWith(".incomplete"))
            .toList());
    hub.cuts.clear();
    hub.seen.clear();
    assertArrayEquals(weights, Files.readAllBytes(fetch().resolve(WEIGHTS)));
    assertTrue(
        hub.seen.stream()
            .filter(s -> s.path().startsWith("/store"))
            .allMatch(s -> s.range().matches("bytes=[1-9]\\d+-")));
    assertEquals(0, hub.count("GET", "config.json"), "small files were there already");
  }

  @Test
  void fetch_storeIgnoresRange_startsAnew() throws IOException {
    hub.cuts.add(100_000);
    hub.mischief =
        exchange -> {
          if (!exchange.getRequestURI().getPath().startsWith("/store/") || !hub.cuts.isEmpty()) {
            return false;
          }
          FakeHub.send(exchange, 200, weights);
          return true;
        };
    assertArrayEquals(weights, Files.readAllBytes(fetch().resolve(WEIGHTS)));
  }

  @Test
  void fetch_serverBusyTwice_isRetried() {
    AtomicInteger left = new AtomicInteger(2);
    hub.mischief =
        exchange -> {
          if (left.getAndDecrement() <= 0) {
            return false;
          }
          exchange.sendResponseHeaders(left.get() == 1 ? 503 : 429, -1);
          return true;
        };
    assertTrue(Files.isDirectory(fetch()));
  }

  @Test
  void fetch_serverAlwaysBusy_saysSo() {
    hub.mischief =
        exchange -> {
          exchange.sendResponseHeaders(500, -1);
          return true;
        };
    assertTrue(failure().contains("answered 500"), failure());
    assertEquals(6, hub.seen.size(), "two fetches of three attempts");
  }

  @Test
  void fetch_wrongHashOnce_isFetchedAgain() throws IOException {
    byte[] damaged = weights.clone();
    damaged[5] ^= 1;
    AtomicInteger left = new AtomicInteger(1);
    hub.mischief =
        exchange -> {
          if (!exchange.getRequestURI().getPath().startsWith("/store/")
              || left.getAndDecrement() <= 0) {
            return false;
          }
          FakeHub.send(exchange, 200, damaged);
          return true;
        };
    assertArrayEquals(weights, Files.readAllBytes(fetch().resolve(WEIGHTS)));
    assertEquals(2, hub.count("GET", "/store/" + WEIGHTS));
  }

  @Test
  void fetch_wrongHashTwice_leavesNothingBehind() throws IOException {
    byte[] damaged = weights.clone();
    damaged[5] ^= 1;
    hub.mischief =
        exchange -> {
          if (!exchange.getRequestURI().getPath().startsWith("/store/")) {
            return false;
          }
          FakeHub.send(exchange, 200, damaged);
          return true;
        };
    String message = failure();
    assertTrue(message.contains("sha256") && message.contains(WEIGHTS), message);
    String etag = FakeHub.sum("SHA-256", weights);
    assertTrue(
        names(cache.resolve("models--acme--tiny/blobs")).stream()
            .noneMatch(n -> n.startsWith(etag)));
    assertFalse(Files.exists(cache.resolve("models--acme--tiny/refs/main")));
  }

  @Test
  void fetch_withToken_sendsItToTheHubOnly() {
    client("hf_secret", false).fetch(REPO);
    String port = ":" + hub.endpoint().getPort();
    List<FakeHub.Seen> store =
        hub.seen.stream().filter(s -> s.host().equals("localhost" + port)).toList();
    assertFalse(store.isEmpty());
    assertTrue(store.stream().allMatch(s -> s.authorization().isEmpty()));
    assertTrue(
        hub.seen.stream()
            .filter(s -> s.host().equals("127.0.0.1" + port))
            .allMatch(s -> s.authorization().equals("Bearer hf_secret")));
  }

  @Test
  void fetch_refusals_sayWhatToDo() {
    HubRepo missing = HubRepo.parse("acme/missing").orElseThrow();
    String anonymous = refusal(() -> client(null, false).fetch(missing));
    assertTrue(anonymous.contains("HF_TOKEN") && anonymous.contains("acme/missing"), anonymous);
    String known = refusal(() -> client("t", false).fetch(missing));
    assertTrue(known.contains("not found"), known);
    HubRepo revision = HubRepo.parse("acme/tiny@nope").orElseThrow();
    String noRevision = refusal(() -> client(null, false).fetch(revision));
    assertTrue(noRevision.contains("no revision nope"), noRevision);
    hub.mischief =
        exchange -> {
          exchange.getResponseHeaders().add("X-Error-Code", "GatedRepo");
          exchange.sendResponseHeaders(403, -1);
          return true;
        };
    assertTrue(failure().contains("gated") && failure().contains("HF_TOKEN"), failure());
    hub.mischief =
        exchange -> {
          exchange.sendResponseHeaders(401, -1);
          return true;
        };
    String wrong = refusal(() -> client("t", false).fetch(REPO));
    assertTrue(wrong.contains("refuses the token"), wrong);
  }

  @Test
  void fetch_noNetwork_saysSo() {
    HubClient client =
        new HubClient(
            new HubConfig(cache, URI.create("http://127.0.0.1:1"), null, false),
            DownloadProgress.SILENT,
            QUICK);
    String message = refusal(() -> client.fetch(REPO));
    assertTrue(message.contains("can't be reached"), message);
  }

  @Test
  void fetch_moreThanTheDiskHolds_isRefusedBefore() {
    hub.mischief =
        exchange -> {
          if (!exchange.getRequestMethod().equals("HEAD")
              || !exchange.getRequestURI().getPath().endsWith(WEIGHTS)) {
            return false;
          }
          exchange.getResponseHeaders().add("X-Linked-Etag", "f".repeat(64));
          exchange.getResponseHeaders().add("X-Linked-Size", "" + (1L << 60));
          exchange.getResponseHeaders().add("Location", "/store/" + WEIGHTS);
          exchange.sendResponseHeaders(302, -1);
          return true;
        };
    String message = failure();
    assertTrue(message.contains("HF_HOME") && message.contains("MiB"), message);
    assertEquals(0, hub.count("GET", "/store/" + WEIGHTS));
  }

  @Test
  void fetch_sharded_takesTheIndexsShardsOnly() throws IOException {
    hub.files.remove(WEIGHTS);
    hub.put(
        ModelFiles.INDEX,
        """
        {"weight_map":{"a":"model-00001-of-00002.safetensors",
        "b":"model-00002-of-00002.safetensors","c":"model-00001-of-00002.safetensors"}}""");
    hub.put("model-00001-of-00002.safetensors", "one");
    hub.put("model-00002-of-00002.safetensors", "two");
    hub.put("consolidated.safetensors", "the same again");
    Path snapshot = fetch();
    assertEquals("two", Files.readString(snapshot.resolve("model-00002-of-00002.safetensors")));
    assertFalse(Files.exists(snapshot.resolve("consolidated.safetensors")));
    Files.delete(snapshot.resolve("model-00001-of-00002.safetensors"));
    fetch();
    assertEquals("one", Files.readString(snapshot.resolve("model-00001-of-00002.safetensors")));
    assertEquals(1, hub.count("GET", "/store/model-00001-of-00002.safetensors"), "the blob stayed");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "../../evil.json",
        "/etc/passwd",
        "a/../../tokenizer.json",
        "a\\b.json",
        "C:evil",
        "a//b",
        "./config.json",
        ".."
      })
  void fetch_hostileFileName_isRefused(String name) {
    hub.extraNames.add(name);
    String message = failure();
    assertTrue(message.contains("refused"), message);
    assertEquals(1, hub.seen.size());
  }

  @Test
  void fetch_hostileIndex_isRefused() {
    hub.put(ModelFiles.INDEX, "{\"weight_map\":{\"a\":\"../../../evil.safetensors\"}}");
    assertTrue(failure().contains("weight_map"), failure());
    hub.put(ModelFiles.INDEX, "{\"weight_map\":{\"a\":\"absent.safetensors\"}}");
    assertTrue(failure().contains("absent.safetensors"), failure());
  }

  @ParameterizedTest
  @ValueSource(strings = {"../../../evil", "..", "", "a b c d e f g h"})
  void fetch_hostileEtag_isRefused(String etag) {
    hub.mischief =
        exchange -> {
          if (!exchange.getRequestMethod().equals("HEAD")) {
            return false;
          }
          exchange.getResponseHeaders().add("ETag", etag);
          exchange.getResponseHeaders().add("Content-Length", "2");
          exchange.sendResponseHeaders(200, -1);
          return true;
        };
    assertTrue(failure().contains("etag"), failure());
  }

  @ParameterizedTest
  @ValueSource(strings = {"file:///etc/passwd", "", "ftp://127.0.0.1/x", "http:// bad"})
  void fetch_hostileRedirect_isRefused(String location) {
    hub.mischief =
        exchange -> {
          exchange.getResponseHeaders().add("Location", location);
          exchange.sendResponseHeaders(302, -1);
          return true;
        };
    assertTrue(failure().contains("redirects to"), failure());
  }

  @Test
  void fetch_redirectInCircles_ends() {
    hub.mischief =
        exchange -> {
          exchange.getResponseHeaders().add("Location", "/again");
          exchange.sendResponseHeaders(307, -1);
          return true;
        };
    assertTrue(failure().contains("circles"), failure());
  }

  @Test
  void fetch_noSafetensors_isRefused() {
    hub.files.remove(WEIGHTS);
    assertTrue(failure().contains("no .safetensors"), failure());
  }

  @Test
  void fetch_byTwoAtOnce_downloadsOnce() throws Exception {
    List<Future<Path>> paths = new ArrayList<>();
    try (ExecutorService threads = Executors.newFixedThreadPool(4)) {
      for (int i = 0; i < 4; i++) {
        paths.add(threads.submit(this::fetch));
      }
      for (Future<Path> path : paths) {
        assertEquals(paths.getFirst().get(), path.get());
      }
    }
    assertEquals(1, hub.count("GET", "/store/" + WEIGHTS));
  }

  @Test
  void progress_seesAllBytes() {
    List<String> heard = new ArrayList<>();
    DownloadProgress progress =
        new DownloadProgress() {
          @Override
          public void begin(String model, long total) {
            heard.add(model + " " + total);
          }

          @Override
          public void file(String name) {
            heard.add(name);
          }

          @Override
          public void done(long bytes) {
            if (bytes == weights.length) {
              heard.add("all");
            }
          }

          @Override
          public void close() {
            heard.add("closed");
          }
        };
    new HubClient(new HubConfig(cache, hub.endpoint(), null, false), progress, QUICK).fetch(REPO);
    assertEquals(List.of("acme/tiny 700001", WEIGHTS, "all", "closed"), heard);
  }

  @Test
  void stalledBody_isClosed() throws IOException {
    try (PipedInputStream body =
            new PipedInputStream() {
              @Override
              public void close() throws IOException {
                super.close();
                closed.countDown();
              }
            };
        StallGuard _ = new StallGuard(body, Duration.ofMillis(20))) {
      assertTrue(closed.await(10, TimeUnit.SECONDS));
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }
}
