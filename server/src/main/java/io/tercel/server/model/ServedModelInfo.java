package io.tercel.server.model;

/**
 * What Control.GetInfo says of a served model besides what its engine knows.
 *
 * @param backend name of the kernels
 * @param kvType how keys and values are stored
 * @param blockSize tokens of a KV block
 */
public record ServedModelInfo(
    String backend,
    String kvType,
    int blockSize,
    int maxNumSeqs,
    int maxNumBatchedTokens,
    int maxWaiting) {}
