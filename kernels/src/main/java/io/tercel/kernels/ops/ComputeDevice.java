package io.tercel.kernels.ops;

/**
 * Something that a {@link BackendProvider} can run on.
 *
 * @param index its number
 * @param name what its driver calls it
 * @param platform the driver
 * @param memoryBytes all of its memory
 * @param allocationBytes the largest array that it can hold
 */
public record ComputeDevice(
    int index, String name, String platform, long memoryBytes, long allocationBytes) {}
