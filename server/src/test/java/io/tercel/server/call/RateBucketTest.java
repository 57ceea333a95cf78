package io.tercel.server.call;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RateBucketTest {
  private final AtomicLong now = new AtomicLong(5);

  private void pass(long seconds) {
    now.addAndGet(TimeUnit.SECONDS.toNanos(seconds));
  }

  @Test
  void aMinutesWorthAtOnce_thenAsItFills() {
    RateBucket bucket = new RateBucket(60, now::get);
    for (int i = 0; i < 60; i++) {
      assertEquals(0, bucket.take(1), "number " + i);
    }
    assertEquals(TimeUnit.SECONDS.toNanos(1), bucket.take(1));
    pass(1);
    assertEquals(0, bucket.take(1));
    assertEquals(TimeUnit.SECONDS.toNanos(1), bucket.take(1));
    pass(1000);
    assertEquals(60, bucket.state().remaining(), "no more than a minute's worth is kept");
    assertEquals(0, bucket.state().fullNanos());
  }

  @Test
  void moreThanWasReserved_isMadeGood() {
    RateBucket bucket = new RateBucket(60, now::get);
    assertEquals(60, bucket.share(1000), "the largest wish gets what there ever is");
    assertEquals(0, bucket.take(60));
    bucket.give(-30); // it took 90
    assertEquals(0, bucket.state().remaining());
    assertEquals(TimeUnit.SECONDS.toNanos(90), bucket.state().fullNanos());
    assertEquals(31e9, bucket.take(1), 10);
    pass(30);
    assertEquals(1e9, bucket.take(1), 10);
    pass(2);
    assertEquals(0, bucket.take(1));
  }

  @Test
  void whatWasNotUsed_isThereAgain() {
    RateBucket bucket = new RateBucket(60, now::get);
    assertEquals(0, bucket.take(50));
    bucket.give(45);
    assertEquals(55, bucket.state().remaining());
    bucket.give(1000);
    assertEquals(60, bucket.state().remaining());
  }

  @Test
  void anotherLimit_keepsWhatWasUsed() {
    RateBucket bucket = new RateBucket(60, now::get);
    assertEquals(0, bucket.take(50));
    bucket.limit(100);
    assertEquals(50, bucket.state().remaining());
    bucket.limit(20);
    assertEquals(20, bucket.state().remaining());
    bucket.limit(0);
    assertEquals(0, bucket.take(1_000_000));
    bucket.limit(10);
    assertEquals(10, bucket.state().remaining());
  }

  @ParameterizedTest
  @CsvSource({
    "0, 0s",
    "1, 1ms",
    "20000000, 20ms",
    "1000000000, 1s",
    "1500000000, 1.5s",
    "60000000000, 1m0s",
    "361250000000, 6m1.25s"
  })
  void duration_asOpenAiWritesIt(long nanos, String text) {
    assertEquals(text, KeyHolder.duration(nanos));
  }
}
