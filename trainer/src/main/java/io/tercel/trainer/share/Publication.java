package io.tercel.trainer.share;

/**
 * Weights that have gone into service.
 *
 * @param version that they are served as
 * @param packNanos what the trainer's threads took to round, pack and compare
 * @param pauseNanos how long the engine stood still for the copy
 * @param codesFlipped codes that are others than those of the version before
 * @param bytesCopied in the pause
 */
public record Publication(
    long version, long packNanos, long pauseNanos, long codesFlipped, long bytesCopied) {}
