package io.tercel.server.hub;

import java.io.IOException;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * Brings a model, or files of a data set, from the hub into the cache, or finds them there.
 *
 * <p>A snapshot that is complete is used as it is, and the network not touched: a branch that has
 * moved on since is not noticed. Naming another revision, or deleting {@code refs/REVISION} in the
 * model's folder, fetches anew. Else the revision is resolved to its commit, the small files are
 * fetched, then the weights, and last the reference is written; what broke off goes on where it
 * stopped.
 */
public final class HubClient {
  private static final int MAX_LISTING_BYTES = 32 << 20;

  private final HubConfig config;
  private final Retry retry;
  private final DownloadProgress progress;

  /** A client that reports to {@code progress}, which it does not close. */
  public HubClient(HubConfig config, DownloadProgress progress) {
    this(config, progress, Retry.DEFAULT);
  }

  HubClient(HubConfig config, DownloadProgress progress, Retry retry) {
    this.config = config;
    this.retry = retry;
    this.progress = progress;
  }

  /**
   * The folder of a model's files.
   *
   * @throws HubException if it can't be had; the message says why in one line
   */
  public Path fetch(HubRepo repo) {
    HubCache cache = new HubCache(config.cache(), repo);
    return fetch(repo, cache, () -> cache.complete(repo.revision()), this::download);
  }

  /**
   * Files of a data set.
   *
   * @throws HubException if they can't be had; the message says why in one line
   */
  public List<Path> fetch(HubRepo repo, DataChoice choice) {
    HubCache cache = new HubCache(config.cache(), repo);
    return fetch(
        repo,
        cache,
        () -> cache.chosen(repo.revision(), choice),
        (of, into, http) -> download(of, choice, into, http));
  }

  /** Brings what is not in the cache. */
  private interface Download<T> {
    T run(HubRepo repo, HubCache cache, HubHttp http) throws IOException;
  }

  private <T> T fetch(
      HubRepo repo, HubCache cache, Supplier<Optional<T>> inCache, Download<T> download) {
    Optional<T> present = inCache.get();
    if (present.isPresent()) {
      return present.get();
    }
    if (config.offline()) {
      throw new HubException(
          "%s is not complete in %s, and HF_HUB_OFFLINE is set: unset it once to fetch it"
              .formatted(repo, config.cache()));
    }
    try (RepoLock _ =
            RepoLock.acquire(
                cache.lockFile(),
                () -> progress.note("Waiting for another process that fetches " + repo + " ..."));
        HubHttp http = new HubHttp(config, repo)) {
      Optional<T> meanwhile = inCache.get();
      return meanwhile.isPresent() ? meanwhile.get() : download.run(repo, cache, http);
    } catch (AccessDeniedException e) {
      throw new HubException(
          e.getFile() + ": not allowed to write; set HF_HOME to a folder that is yours", e);
    } catch (IOException e) {
      throw new HubException(
          "%s: the cache %s can't be used: %s"
              .formatted(repo, config.cache(), String.valueOf(e.getMessage())),
          e);
    }
  }

  private HubListing list(HubRepo repo, HubHttp http) throws IOException {
    String path =
        "/api/%s/%s/revision/%s".formatted(repo.kind().plural, repo.id(), encoded(repo.revision()));
    return retry.run(
        config.endpoint().getHost(),
        () -> HubListing.parse(repo, http.get(path, MAX_LISTING_BYTES)));
  }

  private List<Path> download(HubRepo repo, DataChoice choice, HubCache cache, HubHttp http)
      throws IOException {
    HubListing listing = list(repo, http);
    String commit = listing.commit();
    List<String> names = choice.of(repo, listing.files());
    fetchAll(repo, cache, http, commit, names, progress);
    cache.writeChoice(commit, choice, names);
    cache.writeRef(repo.revision(), commit);
    return names.stream().map(cache.snapshot(commit)::resolve).toList();
  }

  private Path download(HubRepo repo, HubCache cache, HubHttp http) throws IOException {
    HubListing listing = list(repo, http);
    String commit = listing.commit();
    Path snapshot = cache.snapshot(commit);
    fetchAll(repo, cache, http, commit, ModelFiles.small(listing.files()), DownloadProgress.SILENT);
    fetchAll(
        repo, cache, http, commit, ModelFiles.weights(repo, listing.files(), snapshot), progress);
    cache.writeRef(repo.revision(), commit);
    return snapshot;
  }

  private void fetchAll(
      HubRepo repo,
      HubCache cache,
      HubHttp http,
      String commit,
      List<String> names,
      DownloadProgress progress)
      throws IOException {
    List<RemoteFile> files = new ArrayList<>();
    long total = 0;
    for (String name : names) {
      RemoteFile file =
          retry.run(name, () -> http.head(name, resolvePath(repo, commit, name), commit));
      files.add(file);
      total += file.size();
    }
    checkSpace(repo, cache, files);
    progress.begin(repo.toString(), total);
    try {
      long before = 0;
      for (RemoteFile file : files) {
        progress.file(file.name());
        long start = before;
        new BlobDownload(
                http,
                retry,
                file,
                resolvePath(repo, commit, file.name()),
                cache.blob(file.etag()),
                bytes -> progress.done(start + bytes))
            .run();
        cache.link(commit, file.name(), file.etag());
        before += file.size();
      }
    } finally {
      progress.close();
    }
  }

  /** Says before the download, not after hours of it, that the disk is too small. */
  private static void checkSpace(HubRepo repo, HubCache cache, List<RemoteFile> files)
      throws IOException {
    Files.createDirectories(cache.blobs());
    long needed = 0;
    for (RemoteFile file : files) {
      Path blob = cache.blob(file.etag());
      Path incomplete = blob.resolveSibling(blob.getFileName() + ".incomplete");
      long present =
          Files.exists(blob)
              ? file.size()
              : Files.exists(incomplete) ? Math.min(file.size(), Files.size(incomplete)) : 0;
      needed += file.size() - present;
    }
    long free = Files.getFileStore(cache.blobs()).getUsableSpace();
    if (needed > free) {
      throw new HubException(
          "%s needs %d MiB more, but %s has %d MiB left: free some, or set HF_HOME to a larger disk"
              .formatted(repo, needed >> 20, cache.blobs(), free >> 20));
    }
  }

  private static String resolvePath(HubRepo repo, String commit, String name) {
    StringBuilder path =
        new StringBuilder("/" + repo.kind().path + repo.id() + "/resolve/" + commit);
    for (String part : name.split("/", -1)) {
      path.append('/').append(encoded(part));
    }
    return path.toString();
  }

  private static String encoded(String text) {
    return URLEncoder.encode(text, StandardCharsets.UTF_8).replace("+", "%20");
  }
}
