package io.tercel.server.hub;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.function.LongConsumer;

/**
 * Brings one blob into the cache: into {@code ETAG.incomplete}, going on where an earlier try
 * stopped, then checked by size and sha256, then renamed. What fails its sum is deleted and fetched
 * once more.
 */
final class BlobDownload {
  private final HubHttp http;
  private final Retry retry;
  private final RemoteFile file;
  private final String path;
  private final Path blob;
  private final Path incomplete;
  private final LongConsumer progress;

  /**
   * A download that has not begun.
   *
   * @param path the file's path on the hub
   * @param progress hears how many bytes are there
   */
  BlobDownload(
      HubHttp http, Retry retry, RemoteFile file, String path, Path blob, LongConsumer progress) {
    this.http = http;
    this.retry = retry;
    this.file = file;
    this.path = path;
    this.blob = blob;
    this.incomplete = blob.resolveSibling(blob.getFileName() + ".incomplete");
    this.progress = progress;
  }

  void run() throws IOException {
    if (Files.isRegularFile(blob) && Files.size(blob) == file.size()) {
      progress.accept(file.size());
      return;
    }
    Files.createDirectories(HubCache.parent(blob));
    for (int round = 0; ; round++) {
      retry.run(file.name(), new Fetch());
      if (!file.hasSha256()) {
        break;
      }
      String sum = sha256(incomplete);
      if (sum.equals(file.etag())) {
        break;
      }
      Files.delete(incomplete);
      if (round == 1) {
        throw new HubException(
            "%s: its sha256 is %s, not %s, twice; the copy was deleted: try later or elsewhere"
                .formatted(file.name(), sum, file.etag()));
      }
    }
    Files.move(
        incomplete, blob, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
  }

  /** One request for what is missing. */
  private final class Fetch implements Retry.Attempt<Boolean> {
    @Override
    public long progress() {
      return present();
    }

    @Override
    public Boolean run() throws IOException {
      if (present() > file.size()) {
        Files.delete(incomplete);
      }
      long from = present();
      if (from == file.size() && Files.exists(incomplete)) {
        return true;
      }
      HttpResponse<InputStream> response = open(from);
      try (InputStream body = response.body();
          StallGuard guard = new StallGuard(body)) {
        boolean partial =
            response.statusCode() == 206
                && response
                    .headers()
                    .firstValue("content-range")
                    .filter(range -> range.startsWith("bytes " + from + "-"))
                    .isPresent();
        if (response.statusCode() != 200 && !partial) {
          Files.deleteIfExists(incomplete); // Not the part that was asked for: begin anew.
          throw new IOException("status " + response.statusCode());
        }
        copy(body, partial ? from : 0, guard);
      } catch (IOException e) {
        throw new IOException(ended(), e);
      }
      if (present() != file.size()) {
        throw new IOException(ended());
      }
      return true;
    }

    /**
     * A connection that ends right behind the headers fails here, not in the body, now and then.
     */
    private HttpResponse<InputStream> open(long from) throws IOException {
      try {
        return http.open(path, from);
      } catch (IOException e) {
        if (String.valueOf(e.getMessage()).startsWith("fixed content-length")) {
          throw new IOException(ended(), e);
        }
        throw e;
      }
    }

    private String ended() {
      return "the connection ended after %d of %d bytes".formatted(present(), file.size());
    }

    private void copy(InputStream body, long start, StallGuard guard) throws IOException {
      byte[] buffer = new byte[1 << 18];
      try (FileChannel out =
          FileChannel.open(incomplete, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
        onDisk(() -> out.truncate(start).position(start));
        long done = start;
        progress.accept(done);
        for (int n = body.read(buffer); n >= 0; n = body.read(buffer)) {
          guard.alive();
          ByteBuffer bytes = ByteBuffer.wrap(buffer, 0, n);
          onDisk(
              () -> {
                while (bytes.hasRemaining()) {
                  out.write(bytes);
                }
              });
          done += n;
          if (done > file.size()) {
            out.truncate(0);
            throw new IOException("more than " + file.size() + " bytes");
          }
          progress.accept(done);
        }
      }
    }
  }

  private interface DiskAction {
    void run() throws IOException;
  }

  /** Failures of the disk are final, those of the network are not. */
  private void onDisk(DiskAction action) {
    try {
      action.run();
    } catch (IOException e) {
      throw new HubException(
          "%s: can't be written: %s; what is there is kept"
              .formatted(incomplete, String.valueOf(e.getMessage())),
          e);
    }
  }

  private long present() {
    try {
      return Files.exists(incomplete) ? Files.size(incomplete) : 0;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static String sha256(Path path) throws IOException {
    try (InputStream in = Files.newInputStream(path)) {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      byte[] buffer = new byte[1 << 18];
      for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
        digest.update(buffer, 0, n);
      }
      return HexFormat.of().formatHex(digest.digest());
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }
}
