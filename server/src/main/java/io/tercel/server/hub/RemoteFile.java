package io.tercel.server.hub;

import java.util.regex.Pattern;

/**
 * One file of a revision, as a HEAD request describes it.
 *
 * @param etag names the content: the sha256 of large files, git's own sum of small ones
 */
record RemoteFile(String name, String etag, long size) {
  /** What may name a file in {@code blobs}. */
  static final Pattern ETAG = Pattern.compile("[A-Za-z0-9][A-Za-z0-9_-]{7,127}");

  private static final Pattern SHA256 = Pattern.compile("[0-9a-f]{64}");

  /** Whether the etag is the content's sha256, which then is verified. */
  boolean hasSha256() {
    return SHA256.matcher(etag).matches();
  }
}
