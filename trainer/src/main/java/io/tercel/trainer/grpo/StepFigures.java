package io.tercel.trainer.grpo;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.trainer.grpo.Experience.Group;
import io.tercel.trainer.rollout.Rollout;
import io.tercel.trainer.share.TrainingMetrics;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;

/** What a step's answers came to. */
final class StepFigures {
  private final int groups;
  private final long mixed;
  private final double reward;
  private final long tokens;
  private final double length;
  private final double cut;
  private final long oldest;
  private final long newest;
  private final String hash;

  StepFigures(List<Group> groups) {
    this.groups = groups.size();
    mixed = groups.stream().filter(Group::mixed).count();
    MessageDigest digest = sha256();
    double rewards = 0;
    long count = 0;
    long all = 0;
    long cutOff = 0;
    long low = Long.MAX_VALUE;
    long high = 0;
    ByteBuffer hashed = ByteBuffer.allocate(8);
    for (Group group : groups) {
      for (Sample sample : group.samples()) {
        Rollout rollout = sample.rollout();
        rewards += sample.reward();
        all += rollout.tokens().length;
        cutOff += rollout.ended() ? 0 : 1;
        count++;
        for (int i = 0; i < rollout.tokens().length; i++) {
          low = Math.min(low, rollout.versions()[i]);
          high = Math.max(high, rollout.versions()[i]);
          hashed.clear().putInt(rollout.tokens()[i]).putFloat(rollout.logProbs()[i]);
          digest.update(hashed.flip());
        }
      }
    }
    reward = rewards / Math.max(1, count);
    tokens = all;
    length = (double) all / Math.max(1, count);
    cut = (double) cutOff / Math.max(1, count);
    oldest = count == 0 ? 0 : low;
    newest = high;
    hash = HexFormat.of().formatHex(digest.digest(), 0, 8);
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Mean reward of all answers. */
  double reward() {
    return reward;
  }

  /** Tokens of all answers. */
  long tokens() {
    return tokens;
  }

  /** Begins a step's line in the log; the hash is of all tokens and log-probabilities. */
  void describe(ObjectNode line) {
    line.put("reward", reward).put("length", length);
    line.put("cut_off", cut).put("mixed_groups", (double) mixed / Math.max(1, groups));
    line.put("groups", groups).put("tokens", tokens).put("rollouts", hash);
    line.put("oldest_version", oldest).put("newest_version", newest);
  }

  /** As gauges. */
  void tell(TrainingMetrics metrics, PolicyFigures policy) {
    metrics.gauge("reward", "Mean reward of the last step's answers.").accept(reward);
    metrics.gauge("length", "Mean tokens of the last step's answers.").accept(length);
    metrics
        .gauge("mixed_groups", "Share of the last step's groups that taught something.")
        .accept((double) mixed / Math.max(1, groups));
    metrics.gauge("entropy", "Mean entropy of the policy, in nats.").accept(policy.entropy());
    metrics
        .gauge("logprob_difference", "Mean |log-probability of engine less that of trainer|.")
        .accept(policy.meanDifference());
  }
}
