/**
 * What tests of every module build on: small checkpoints with real files, and an independent
 * forward pass in double precision to hold the engine against. Nothing here uses production
 * readers.
 */
package io.tercel.kernels.testing;
