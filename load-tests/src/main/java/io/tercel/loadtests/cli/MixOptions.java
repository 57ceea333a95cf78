package io.tercel.loadtests.cli;

import io.tercel.loadtests.data.Dataset;
import io.tercel.loadtests.data.MixedDataset;
import io.tercel.server.UserException;
import java.util.Map;
import java.util.TreeMap;
import picocli.CommandLine.Option;

/** What requests are for. */
final class MixOptions {
  @Option(
      names = "--mix",
      split = ",",
      paramLabel = "CLASS=SHARE",
      description =
          "Shares of service classes, such as chat=0.5,rollout=0.4,batch=0.1: each request has one,"
              + " and results are told by class.")
  Map<String, String> mix = Map.of();

  @Option(
      names = "--group-size",
      paramLabel = "N",
      description =
          "Rollouts come as GRPO asks them: N samples of one prompt, with one group_id and sent"
              + " together. Without --mix all requests are rollouts.")
  int groupSize = 1;

  void check() {
    shares();
    if (groupSize < 1 || groupSize > 1024) {
      throw new UserException("--group-size: " + groupSize + "; expected 1 to 1024");
    }
    if (groupSize > 1 && !mix.isEmpty() && !mix.containsKey(MixedDataset.ROLLOUT)) {
      throw new UserException(
          "--group-size: groups are of rollouts; add rollout=SHARE to --mix, or leave it out");
    }
  }

  boolean isGiven() {
    return groupSize > 1 || !mix.isEmpty();
  }

  /** The same prompts, of these classes. */
  Dataset applyTo(Dataset dataset, long seed) {
    return isGiven() ? new MixedDataset(dataset, shares(), groupSize, seed) : dataset;
  }

  private Map<String, Double> shares() {
    if (mix.isEmpty()) {
      return Map.of(MixedDataset.ROLLOUT, 1.0);
    }
    Map<String, Double> shares = new TreeMap<>();
    mix.forEach(
        (name, text) -> {
          double share = 0;
          try {
            share = Double.parseDouble(text);
          } catch (NumberFormatException e) {
            // said below
          }
          if (!name.matches("chat|rollout|batch") || !(share > 0 && share <= 1)) {
            throw new UserException(
                "--mix: '%s=%s'; expected chat, rollout or batch and a share above 0, to 1"
                    .formatted(name, text));
          }
          shares.put(name, share);
        });
    double sum = shares.values().stream().mapToDouble(Double::doubleValue).sum();
    if (Math.abs(sum - 1) > 1e-6) {
      throw new UserException("--mix: the shares sum up to " + sum + "; expected 1");
    }
    return shares;
  }
}
