package io.tercel.server.engine;

import static io.tercel.server.engine.ServiceClass.CHAT;
import static io.tercel.server.engine.ServiceClass.ROLLOUT;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * Shares are rounded down, so that one may be left to whoever comes first: who has it is above its
 * share, but a class that has all of its own takes nothing of it.
 */
class ClassSurplusTest {
  private static List<Sequence> add(SchedulerLab lab, int count, ServiceClass c, int length) {
    return Stream.generate(() -> lab.add(c, length)).limit(count).toList();
  }

  private static long running(List<Sequence> of) {
    return of.stream().filter(s -> s.state() == Sequence.State.RUNNING).count();
  }

  /** Of 12 places 7 are the chats' and 4 the rollouts'. */
  @Test
  void classWithAllItsPlaces_setsNobodyBackForMore() {
    SchedulerLab lab = new SchedulerLab(100, 12, 99);
    List<Sequence> rollouts = add(lab, 5, ROLLOUT, 4);
    lab.step();
    List<Sequence> chats = add(lab, 9, CHAT, 4);
    for (int i = 0; i < 5; i++) {
      lab.step();
    }
    assertEquals(7, running(chats));
    assertEquals(5, running(rollouts));
    assertEquals(0, lab.scheduler.preemptions());
  }
}
