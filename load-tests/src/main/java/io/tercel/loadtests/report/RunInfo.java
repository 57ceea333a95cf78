package io.tercel.loadtests.report;

import io.tercel.loadtests.traffic.Pace;
import java.time.LocalDateTime;

/**
 * What was asked of a run.
 *
 * @param backend as {@code vllm bench serve} names it: openai, openai-chat, grpc
 * @param numPrompts requests asked for, or sent, where the duration decides
 * @param pace when requests were due
 * @param maxConcurrency 0 for no limit
 */
public record RunInfo(
    LocalDateTime date,
    String backend,
    String endpoint,
    String label,
    String modelId,
    String datasetName,
    int numPrompts,
    Pace pace,
    int maxConcurrency,
    double abortRate,
    double slowReaderRate,
    long seed) {
  /** A second; infinity for none. */
  public double requestRate() {
    return pace.requestRate();
  }
}
