package io.tercel.loadtests.report;

import java.time.LocalDateTime;

/**
 * What was asked of a run.
 *
 * @param backend as {@code vllm bench serve} names it: openai, openai-chat, grpc
 * @param numPrompts requests asked for, or sent, where the duration decides
 * @param requestRate a second; infinity for none
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
    double requestRate,
    double burstiness,
    int maxConcurrency,
    double abortRate,
    double slowReaderRate,
    long seed) {}
