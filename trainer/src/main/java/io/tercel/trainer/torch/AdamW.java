package io.tercel.trainer.torch;

import io.tercel.trainer.quant.Chunks;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Adam with decoupled weight decay on matrices. Values are updated in place, in plain Java float
 * arithmetic that doesn't depend on the number of threads, so a run that is resumed from what was
 * saved goes on bit by bit.
 *
 * <p>No update is too small: what the rounding of a value takes from it is kept and added to the
 * next. Without that, at a rate of 5e-7, no value above 8 would ever move, and no weight decay
 * would reach any.
 */
public final class AdamW {
  private final List<Parameter> parameters;
  private final List<float[]> first = new ArrayList<>();
  private final List<float[]> second = new ArrayList<>();
  private final List<float[]> rest = new ArrayList<>();
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
    for (Parameter parameter : parameters) {
      first.add(new float[parameter.size()]);
      second.add(new float[parameter.size()]);
      rest.add(new float[parameter.size()]);
    }
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
    first.forEach(m -> Arrays.fill(m, 0));
    second.forEach(v -> Arrays.fill(v, 0));
    rest.forEach(r -> Arrays.fill(r, 0));
  }

  /** Steps taken, by which the moments' bias is corrected. */
  public int steps() {
    return steps;
  }

  /**
   * Puts back what was saved, the arrays having been put into {@link #first}, {@link #second} and
   * {@link #rest}.
   */
  public void restore(int stepsTaken) {
    steps = stepsTaken;
  }

  /** Running mean of the gradient of parameter i; a view. */
  public float[] first(int i) {
    return first.get(i);
  }

  /** Running mean of its square; a view. */
  public float[] second(int i) {
    return second.get(i);
  }

  /** What is missing from the values of parameter i, below their last bit; a view. */
  public float[] rest(int i) {
    return rest.get(i);
  }

  /** The norm over all parameters' gradients. */
  public double gradientNorm() {
    double sum = 0;
    for (Parameter parameter : parameters) {
      float[] gradient = parameter.gradient();
      double[] parts = new double[Chunks.count(gradient.length)];
      Chunks.forEach(
          gradient.length,
          (from, to) -> {
            double part = 0;
            for (int i = from; i < to; i++) {
              part += (double) gradient[i] * gradient[i];
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
    float stepSize = (float) (rate / (1 - Math.pow(beta1, steps)));
    float correction = (float) (1 / Math.sqrt(1 - Math.pow(beta2, steps)));
    for (int p = 0; p < parameters.size(); p++) {
      Parameter parameter = parameters.get(p);
      float decay = parameter.isMatrix() ? (float) (rate * weightDecay) : 0;
      Step step = new Step(scale, stepSize, correction, decay);
      int index = p;
      Chunks.forEach(parameter.size(), (from, to) -> update(index, from, to, step));
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
        gradients += Float.isFinite(parameter.gradient()[i]) ? 0 : 1;
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
    float[] gradient = parameter.gradient();
    float[] m = first.get(p);
    float[] v = second.get(p);
    float[] r = rest.get(p);
    for (int i = from; i < to; i++) {
      float g = gradient[i] * step.scale();
      m[i] = beta1 * m[i] + (1 - beta1) * g;
      v[i] = beta2 * v[i] + (1 - beta2) * g * g;
      float denominator = (float) Math.sqrt(v[i]) * step.correction() + epsilon;
      float old = parameter.get(i);
      float move = r[i] - (step.stepSize() * m[i] / denominator + step.decay() * old);
      float sum = old + move;
      // exactly what the addition lost, whichever of the two is larger
      float added = sum - old;
      r[i] = (old - (sum - added)) + (move - added);
      parameter.set(i, sum);
    }
  }
}
