package io.tercel.trainer.torch;

import io.tercel.trainer.quant.Chunks;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.function.ToDoubleFunction;

/**
 * Adam with decoupled weight decay on matrices. Values are updated in place, in plain Java float
 * arithmetic that doesn't depend on the number of threads, so a run that is resumed from what was
 * saved goes on bit by bit.
 *
 * <p>No update is too small: what the rounding of a value takes from it is kept and added to the
 * next. Without that, at a rate of 5e-7, no value above 8 would ever move, and no weight decay
 * would reach any.
 *
 * <p>Its state lies off the heap: 12 bytes a value, freed with this.
 */
public final class AdamW {
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;

  private final List<Parameter> parameters;
  private final List<MemorySegment> first = new ArrayList<>();
  private final List<MemorySegment> second = new ArrayList<>();
  private final List<MemorySegment> rest = new ArrayList<>();
  private final double[] rates;
  private final float beta1;
  private final float beta2;
  private final float epsilon;
  private final float weightDecay;
  private int steps;

  public AdamW(
      List<Parameter> parameters, double beta1, double beta2, double epsilon, double weightDecay) {
    this.parameters = List.copyOf(parameters);
    this.beta1 = (float) beta1;
    this.beta2 = (float) beta2;
    this.epsilon = (float) epsilon;
    this.weightDecay = (float) weightDecay;
    this.rates = new double[parameters.size()];
    java.util.Arrays.fill(rates, 1);
    Arena arena = Arena.ofAuto();
    for (Parameter parameter : parameters) {
      first.add(arena.allocate(4L * parameter.size(), 64));
      second.add(arena.allocate(4L * parameter.size(), 64));
      rest.add(arena.allocate(4L * parameter.size(), 64));
    }
  }

  /** Multiplies the rate of each parameter by a factor of its own, 0 or more. */
  public AdamW withRates(ToDoubleFunction<Parameter> factor) {
    for (int p = 0; p < rates.length; p++) {
      rates[p] = factor.applyAsDouble(parameters.get(p));
      if (!(rates[p] >= 0)) {
        throw new IllegalArgumentException(parameters.get(p).name() + " at " + rates[p]);
      }
    }
    return this;
  }

  /** With the betas that reasoning models are distilled with, 0.9 and 0.95. */
  public static AdamW of(List<Parameter> parameters, double weightDecay) {
    return new AdamW(parameters, 0.9, 0.95, 1e-8, weightDecay);
  }

  public List<Parameter> parameters() {
    return parameters;
  }

  /** Forgets everything. */
  public void reset() {
    steps = 0;
    first.forEach(m -> m.fill((byte) 0));
    second.forEach(v -> v.fill((byte) 0));
    rest.forEach(r -> r.fill((byte) 0));
  }

  /** Steps taken, by which the moments' bias is corrected. */
  public int steps() {
    return steps;
  }

  /**
   * Puts back what was saved, the values having been put into {@link #first}, {@link #second} and
   * {@link #rest}.
   */
  public void restore(int stepsTaken) {
    steps = stepsTaken;
  }

  /** Running mean of the gradient of parameter i, fp32; a view. */
  public MemorySegment first(int i) {
    return first.get(i);
  }

  /** Running mean of its square, fp32; a view. */
  public MemorySegment second(int i) {
    return second.get(i);
  }

  /** What is missing from the values of parameter i, below their last bit, fp32; a view. */
  public MemorySegment rest(int i) {
    return rest.get(i);
  }

  /** The norm over all parameters' gradients. */
  public double gradientNorm() {
    double sum = 0;
    for (Parameter parameter : parameters) {
      MemorySegment gradient = parameter.gradient();
      double[] parts = new double[Chunks.count(parameter.size())];
      Chunks.forEach(
          parameter.size(),
          (from, to) -> {
            double part = 0;
            for (int i = from; i < to; i++) {
              double g = gradient.getAtIndex(FLOAT, i);
              part += g * g;
            }
            parts[from / Chunks.SIZE] = part;
          });
      for (double part : parts) {
        sum += part;
      }
    }
    return Math.sqrt(sum);
  }

  /**
   * Updates all parameters by their gradients and clears these.
   *
   * @param rate the learning rate of this step
   * @param maxNorm gradients are scaled down to this norm; infinite is never
   * @return the norm before clipping
   */
  public double step(double rate, double maxNorm) {
    double norm = gradientNorm();
    if (!Double.isFinite(norm)) {
      throw new ArithmeticException(
          "the gradient is " + norm + " at optimizer step " + steps + ": " + nonFinite());
    }
    float scale = norm > maxNorm ? (float) (maxNorm / norm) : 1;
    steps++;
    float correction = (float) (1 / Math.sqrt(1 - Math.pow(beta2, steps)));
    for (int p = 0; p < parameters.size(); p++) {
      Parameter parameter = parameters.get(p);
      double own = rate * rates[p];
      float stepSize = (float) (own / (1 - Math.pow(beta1, steps)));
      float decay = parameter.isMatrix() ? (float) (own * weightDecay) : 0;
      Step step = new Step(scale, stepSize, correction, decay);
      int index = p;
      Chunks.forEach(parameter.size(), (from, to) -> update(index, from, to, step));
      parameter.changed();
      parameter.clearGradient();
    }
    return norm;
  }

  /**
   * What one step does alike to all elements of a parameter.
   *
   * @param scale of the gradient
   * @param stepSize the rate, with the correction of the first moment
   * @param correction of the second moment's root
   * @param decay share of the value that is taken off
   */
  private record Step(float scale, float stepSize, float correction, float decay) {}

  /** Which parameters have values or gradients that are no finite numbers. */
  private String nonFinite() {
    StringBuilder text = new StringBuilder();
    for (Parameter parameter : parameters) {
      int values = 0;
      int gradients = 0;
      for (int i = 0; i < parameter.size(); i++) {
        values += Float.isFinite(parameter.get(i)) ? 0 : 1;
        gradients += Float.isFinite(parameter.gradientAt(i)) ? 0 : 1;
      }
      if (values + gradients > 0) {
        text.append(text.isEmpty() ? "" : ", ").append(parameter.name());
        text.append(" (").append(values).append(" values, ").append(gradients);
        text.append(" gradients of ").append(parameter.size()).append(')');
      }
    }
    return text.toString();
  }

  private void update(int p, int from, int to, Step step) {
    Parameter parameter = parameters.get(p);
    MemorySegment values = parameter.writable();
    MemorySegment gradient = parameter.gradient();
    MemorySegment first = this.first.get(p);
    MemorySegment second = this.second.get(p);
    MemorySegment rest = this.rest.get(p);
    for (long i = from; i < to; i++) {
      float g = gradient.getAtIndex(FLOAT, i) * step.scale();
      float m = beta1 * first.getAtIndex(FLOAT, i) + (1 - beta1) * g;
      float v = beta2 * second.getAtIndex(FLOAT, i) + (1 - beta2) * g * g;
      float denominator = (float) Math.sqrt(v) * step.correction() + epsilon;
      float old = values.getAtIndex(FLOAT, i);
      float move =
          rest.getAtIndex(FLOAT, i) - (step.stepSize() * m / denominator + step.decay() * old);
      float sum = old + move;
      // exactly what the addition lost, whichever of the two is larger
      float added = sum - old;
      first.setAtIndex(FLOAT, i, m);
      second.setAtIndex(FLOAT, i, v);
      rest.setAtIndex(FLOAT, i, (old - (sum - added)) + (move - added));
      values.setAtIndex(FLOAT, i, sum);
    }
  }
}
