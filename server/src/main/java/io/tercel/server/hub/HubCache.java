package io.tercel.server.hub;

import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * One repository's folder in the cache, as Hugging Face's tools lay it out and share it ({@code
 * datasets--} for data sets):
 *
 * <pre>
 * models--ORG--NAME/blobs/ETAG                 the bytes; ETAG.incomplete while they arrive
 *                  /refs/REVISION              the commit that a revision means
 *                  /snapshots/COMMIT/FILE      relative links into blobs
 *                  /tercel/COMMIT-CHOICE       which files of a data set were fetched (ours alone)
 * </pre>
 *
 * A file is in a snapshot only when its blob is whole, and a reference is written only after the
 * whole snapshot. Where the file system has no links, snapshots hold copies.
 */
final class HubCache {
  static final Pattern COMMIT = Pattern.compile("[0-9a-f]{40}");

  private final Path folder;
  private final Path lockFile;

  HubCache(Path cache, HubRepo repo) {
    String name = repo.kind().plural + "--" + repo.org() + "--" + repo.name();
    this.folder = cache.resolve(name);
    this.lockFile = cache.resolve(".locks").resolve(name).resolve("tercel.lock");
  }

  Path blob(String etag) {
    return folder.resolve("blobs").resolve(etag);
  }

  Path blobs() {
    return folder.resolve("blobs");
  }

  Path snapshot(String commit) {
    return folder.resolve("snapshots").resolve(commit);
  }

  /** What two processes that fetch the same model hold in turn. */
  Path lockFile() {
    return lockFile;
  }

  /** The commit that a revision meant when its snapshot was last completed here. */
  Optional<String> commitOf(String revision) {
    if (COMMIT.matcher(revision).matches()) {
      return Optional.of(revision);
    }
    try {
      String commit = Files.readString(ref(revision)).strip();
      return COMMIT.matcher(commit).matches() ? Optional.of(commit) : Optional.empty();
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  /** The snapshot of a revision, if all of the model's files are there. */
  Optional<Path> complete(String revision) {
    return commitOf(revision).map(this::snapshot).filter(ModelFiles::areCompleteIn);
  }

  /** The files of a choice that was fetched whole before, if they are all there. */
  Optional<List<Path>> chosen(String revision, DataChoice choice) {
    Optional<String> commit = commitOf(revision);
    if (commit.isEmpty()) {
      return Optional.empty();
    }
    Path snapshot = snapshot(commit.get());
    try {
      List<Path> files =
          Files.readAllLines(choiceFile(commit.get(), choice)).stream()
              .map(snapshot::resolve)
              .toList();
      return files.stream().allMatch(Files::isRegularFile) ? Optional.of(files) : Optional.empty();
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  /** Remembers which files a choice is, once they are all there. */
  void writeChoice(String commit, DataChoice choice, List<String> names) throws IOException {
    write(choiceFile(commit, choice), String.join("\n", names));
  }

  private Path choiceFile(String commit, DataChoice choice) {
    return folder.resolve("tercel").resolve(commit + "-" + choice.id());
  }

  void writeRef(String revision, String commit) throws IOException {
    if (revision.equals(commit)) {
      return;
    }
    write(ref(revision), commit);
  }

  /** Whole, or not at all. */
  private static void write(Path file, String text) throws IOException {
    Files.createDirectories(parent(file));
    Path fresh = file.resolveSibling(file.getFileName() + ".tmp");
    Files.writeString(fresh, text);
    Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
  }

  /** Puts a whole blob under its name into a snapshot. */
  void link(String commit, String file, String etag) throws IOException {
    Path target = blob(etag);
    Path link = snapshot(commit).resolve(file);
    if (!link.normalize().startsWith(snapshot(commit).normalize())) {
      throw new HubException("the hub named a file outside of the model's folder: " + file);
    }
    Files.createDirectories(parent(link));
    Path fresh = link.resolveSibling("." + link.getFileName() + ".tmp");
    Files.deleteIfExists(fresh);
    try {
      Files.createSymbolicLink(fresh, parent(link).relativize(target));
    } catch (UnsupportedOperationException | IOException e) {
      if (e instanceof FileAlreadyExistsException exists) {
        throw exists;
      }
      linkOrCopy(target, fresh);
    }
    Files.move(fresh, link, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
  }

  /** Without symbolic links: a hard link, which takes no space, or at worst a copy. */
  private static void linkOrCopy(Path target, Path link) throws IOException {
    try {
      Files.createLink(link, target);
    } catch (UnsupportedOperationException | IOException e) {
      Files.copy(target, link, StandardCopyOption.REPLACE_EXISTING);
    }
  }

  private Path ref(String revision) {
    return folder.resolve("refs").resolve(revision);
  }

  static Path parent(Path path) {
    Path parent = path.getParent();
    if (parent == null) {
      throw new IllegalArgumentException("no parent folder: " + path);
    }
    return parent;
  }
}
