package io.tercel.trainer.share;

import java.lang.foreign.MemorySegment;

/** A tensor that training changes and that is served. */
public sealed interface TrainedTensor {
  /** As in a Hugging Face checkpoint. */
  String name();

  /** fp32, row-major; read whenever weights are published, so it must outlive that. */
  MemorySegment values();

  /**
   * A quantized linear's weight.
   *
   * @param values the latents
   */
  record Linear(String name, MemorySegment values, WeightRounding rounding)
      implements TrainedTensor {}

  /**
   * What is served as floats: a norm, a bias, an embedding, a head, a transform, a clip; each
   * rounded to the type that it is served in.
   */
  record Floats(String name, MemorySegment values) implements TrainedTensor {}
}
