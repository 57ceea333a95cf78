package io.tercel.server.engine;

import java.util.List;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Which class a free place goes to: the one whose dominant share is the smallest (dominant resource
 * fairness over places and blocks), the earlier class among equals. With fewer places than classes,
 * the classes take turns. Owned by the scheduler.
 */
final class AdmissionOrder {
  private final List<ClassQueue> queues;
  private final BlockManager blocks;
  private final ClassShares shares;

  AdmissionOrder(List<ClassQueue> queues, BlockManager blocks, ClassShares shares) {
    this.queues = queues;
    this.blocks = blocks;
    this.shares = shares;
  }

  /** Of these classes the one that a free place goes to; null if nobody waits who could start. */
  @Nullable ClassQueue neediest(Predicate<ClassQueue> among) {
    ClassQueue neediest = null;
    for (ClassQueue queue : queues) {
      boolean waits = queue.next() != null && among.test(queue);
      if (waits && (neediest == null || needsMore(queue, neediest))) {
        neediest = queue;
      }
    }
    return neediest;
  }

  private boolean needsMore(ClassQueue a, ClassQueue b) {
    if (shares.places(a.serviceClass) == 0) { // fewer places than classes: in turn
      return a.lastAdmission() < b.lastAdmission();
    }
    return dominantShare(a) < dominantShare(b);
  }

  /** What it has of its share of places or of blocks, whichever is more: 1 is its whole share. */
  private double dominantShare(ClassQueue queue) {
    ServiceClass c = queue.serviceClass;
    return Math.max(
        (double) queue.numRunning() / shares.places(c),
        (double) blocks.numHeld(c) / Math.max(1, shares.blocks(c)));
  }
}
