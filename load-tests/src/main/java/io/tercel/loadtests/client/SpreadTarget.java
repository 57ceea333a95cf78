package io.tercel.loadtests.client;

import io.tercel.loadtests.data.LoadRequest;
import java.util.List;

/**
 * Several servers with the same model, which requests go to in turn. A session stays with its
 * server, a group too: what they share is in that one's prefix cache.
 */
public final class SpreadTarget implements Target {
  private final List<Target> targets;

  /**
   * Over these servers.
   *
   * @param targets at least one; they are closed with it
   */
  public SpreadTarget(List<Target> targets) {
    if (targets.isEmpty()) {
      throw new IllegalArgumentException("no server");
    }
    this.targets = List.copyOf(targets);
  }

  @Override
  public Call prepare(LoadRequest request, ClientBehavior behavior) {
    String group = request.tags().groupId();
    long key = group.isEmpty() ? request.index() : group.hashCode();
    return targets.get((int) Math.floorMod(key, (long) targets.size())).prepare(request, behavior);
  }

  @Override
  public void close() {
    targets.forEach(Target::close);
  }
}
