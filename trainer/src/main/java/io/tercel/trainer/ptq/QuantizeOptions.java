package io.tercel.trainer.ptq;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.tercel.trainer.quant.Grid;
import io.tercel.trainer.quant.PtqState;
import java.util.Locale;

/**
 * How a model is quantized.
 *
 * @param symmetric one zero point, 4, for all groups
 * @param clip searches the best share of each group's range; with AWQ by its outputs, else by its
 *     weights
 * @param actOrder GPTQ: columns by falling input power, with static groups
 * @param staticGroups GPTQ: scales from the original weights; implied by actOrder
 * @param damping GPTQ: share of the mean diagonal that is added to the Hessian's
 * @param checkpointFormat how zero points are stored
 * @param keepState whether {@link PtqState} is written
 */
public record QuantizeOptions(
    Method method,
    boolean symmetric,
    boolean clip,
    boolean actOrder,
    boolean staticGroups,
    double damping,
    CheckpointFormat checkpointFormat,
    boolean keepState) {

  /** Which algorithm. */
  public enum Method {
    RTN,
    GPTQ,
    AWQ;

    /** Whether it needs texts to observe. */
    boolean observes() {
      return this != RTN;
    }

    /** As on the command line. */
    String label() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /** GPTQ's two ways to store zero points. */
  public enum CheckpointFormat {
    /** {@link #GPTQ} for symmetric, which every engine reads; {@link #GPTQ_V2} otherwise. */
    AUTO,
    /** One less than they are; 0 cannot be stored, so asymmetric groups keep z at 1 or more. */
    GPTQ,
    /** As they are. */
    GPTQ_V2
  }

  public QuantizeOptions {
    if (!(damping >= 0 && damping <= 1)) {
      throw new IllegalArgumentException("damping: " + damping + "; expected 0 to 1");
    }
    staticGroups |= actOrder;
  }

  /** The paper's settings: asymmetric GPTQ with clip search, act-order and damping 0.01. */
  public static QuantizeOptions gptq() {
    return new QuantizeOptions(
        Method.GPTQ, false, true, true, true, 0.01, CheckpointFormat.AUTO, true);
  }

  /** AWQ as published: asymmetric, with its own clip search. */
  public static QuantizeOptions awq() {
    return new QuantizeOptions(
        Method.AWQ, false, true, false, false, 0.01, CheckpointFormat.AUTO, true);
  }

  /** Round to nearest without clip search. */
  public static QuantizeOptions rtn(boolean symmetric) {
    return new QuantizeOptions(
        Method.RTN, symmetric, false, false, false, 0.01, CheckpointFormat.AUTO, true);
  }

  /** All that decides what comes out, by the names of the options. */
  ObjectNode toJson() {
    ObjectNode json = new ObjectMapper().createObjectNode();
    json.put("format", "w3g128").put("method", method.label());
    json.put("sym", symmetric).put("mse", clip);
    if (method == Method.GPTQ) {
      json.put("act_order", actOrder).put("static_groups", staticGroups).put("damping", damping);
    }
    json.put("checkpoint_format", v2() ? "gptq_v2" : "gptq");
    return json.put("training_state", keepState);
  }

  boolean v2() {
    return switch (checkpointFormat) {
      case AUTO -> !symmetric;
      case GPTQ -> false;
      case GPTQ_V2 -> true;
    };
  }

  Grid grid() {
    return new Grid(symmetric, clip, v2() || symmetric ? 0 : 1);
  }

  /** The same without a clip search. */
  Grid plainGrid() {
    return new Grid(symmetric, false, grid().minZero());
  }
}
