package io.tercel.trainer.ptq;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.trainer.ptq.flatquant.FlatOptions;
import java.util.Locale;

/**
 * How a model is brought to 4-bit weights, activations, keys and values.
 *
 * @param actOrder QuaRot's GPTQ: columns by falling input power
 * @param damping QuaRot's GPTQ: share of the mean diagonal that is added to the Hessian's
 * @param seed of QuaRot's signs
 * @param flat how FlatQuant learns
 * @param keepState whether what training starts from is written
 */
public record W4Options(
    Method method,
    boolean actOrder,
    double damping,
    long seed,
    FlatOptions flat,
    boolean keepState) {

  /** Which algorithm. */
  public enum Method {
    /** Rounds what is there. */
    RTN,
    /** Turns the model by Hadamard matrices, then GPTQ. */
    QUAROT,
    /** Learns the coordinates of each layer. */
    FLATQUANT;

    /** Whether it needs texts to observe. */
    boolean observes() {
      return this != RTN;
    }

    /** As on the command line. */
    String label() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  public W4Options {
    if (!(damping >= 0 && damping <= 1)) {
      throw new IllegalArgumentException("damping: " + damping + "; expected 0 to 1");
    }
  }

  /** All that decides what comes out, by the names of the options. */
  ObjectNode toJson() {
    ObjectNode json = new ObjectMapper().createObjectNode();
    json.put("format", W4Flags.FORMAT).put("method", method.label());
    switch (method) {
      case RTN -> {}
      case QUAROT -> json.put("act_order", actOrder).put("damping", damping).put("seed", seed);
      case FLATQUANT ->
          json.put("epochs", flat.epochs())
              .put("batch", flat.batch())
              .put("rate", flat.rate())
              .put("seed", flat.seed());
    }
    return json.put("training_state", keepState);
  }

  /** A method with the usual settings. */
  public static W4Options of(Method method, FlatOptions flat) {
    return new W4Options(method, true, 0.01, 0, flat, true);
  }
}
