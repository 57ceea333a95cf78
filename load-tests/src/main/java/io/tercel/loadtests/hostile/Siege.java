package io.tercel.loadtests.hostile;

import io.tercel.loadtests.client.HonestClient;
import io.tercel.loadtests.client.ServerProbe;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Attacks a server, one way after the other, while an honest client goes on asking; and says what
 * the honest client saw, and what the server's memory did.
 */
public final class Siege {
  private static final Duration AFTERWARDS = Duration.ofSeconds(180);
  private static final Duration BETWEEN = Duration.ofMillis(250);

  private final Attack.Door door;
  private final ServerProbe probe;
  private final HonestClient honest;

  /**
   * What one attack did.
   *
   * @param clients whose connection was refused or broke
   * @param before the server's figures, idle
   * @param peak the highest seen during the attack
   * @param after the figures when it was idle again
   * @param answers of the honest client meanwhile
   * @param afterwards its answer when the attack was over
   */
  public record Result(
      Attack attack,
      Tally tally,
      int broken,
      ServerReading before,
      ServerReading peak,
      ServerReading after,
      HonestClient.Answers answers,
      HonestClient.Answers afterwards) {
    /**
     * Whether the server bore it: no fault, the same answers, the honest client not locked out
     * while it lasted, nothing left.
     */
    public boolean borne() {
      return !tally.hasFaults()
          && answers.allTheSame()
          && !answers.lockedOut()
          && afterwards.allTheSame()
          && after.idle();
    }
  }

  /**
   * Before a server that is idle.
   *
   * @throws io.tercel.loadtests.client.TargetException if it does not answer as it should
   */
  public Siege(Attack.Door door, ServerProbe probe) throws InterruptedException {
    this.door = door;
    this.probe = probe;
    this.honest = new HonestClient(door.server(), door.apiKey(), door.model());
  }

  /** Seconds that the honest client waits when nobody else asks. */
  public double alone() {
    return honest.alone();
  }

  /** Runs one attack to its end, and waits until nothing of it is left. */
  public Result run(Attack attack) throws InterruptedException {
    ServerReading before = awaitIdle();
    Tally tally = new Tally();
    List<Thread> clients = new ArrayList<>();
    List<Exception> broken = new ArrayList<>();
    for (int i = 0; i < attack.clients(); i++) {
      clients.add(Thread.ofVirtual().start(() -> run(attack, tally, broken)));
    }
    AtomicBoolean over = new AtomicBoolean();
    Thread waiter =
        Thread.ofVirtual()
            .start(
                () -> {
                  clients.forEach(Siege::join);
                  over.set(true);
                });
    ServerReading peak = before;
    HonestClient.Answers answers = new HonestClient.Answers();
    do {
      honest.ask(answers);
      peak = peak.max(reading());
      Thread.sleep(BETWEEN);
    } while (!over.get());
    waiter.join();
    ServerReading after = awaitIdle();
    HonestClient.Answers afterwards = new HonestClient.Answers();
    honest.ask(afterwards);
    synchronized (broken) {
      return new Result(attack, tally, broken.size(), before, peak, after, answers, afterwards);
    }
  }

  private void run(Attack attack, Tally tally, List<Exception> broken) {
    try {
      attack.client().attack(door, tally);
    } catch (IOException e) {
      synchronized (broken) {
        broken.add(e);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private static void join(Thread thread) {
    try {
      thread.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private ServerReading reading() throws InterruptedException {
    return ServerReading.of(probe.requireMetrics());
  }

  /** The first reading with nothing running; the last one if that does not come. */
  private ServerReading awaitIdle() throws InterruptedException {
    long deadline = System.nanoTime() + AFTERWARDS.toNanos();
    ServerReading reading = reading();
    while (!reading.idle() && System.nanoTime() < deadline) {
      Thread.sleep(BETWEEN);
      reading = reading();
    }
    return reading;
  }
}
