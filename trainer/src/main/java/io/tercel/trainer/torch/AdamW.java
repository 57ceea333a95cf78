package io.tercel.trainer.torch;

import java.util.ArrayList;
import java.util.List;

/**
 * Adam with decoupled weight decay on matrices. Values are updated in place, in plain Java float
 * arithmetic in a fixed order, so a run that is resumed from saved moments goes on bit by bit.
 */
public final class AdamW {
  private final List<Parameter> parameters;
  private final List<float[]> first = new ArrayList<>();
  private final List<float[]> second = new ArrayList<>();
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
    first.forEach(m -> java.util.Arrays.fill(m, 0));
    second.forEach(v -> java.util.Arrays.fill(v, 0));
  }

  /** Steps taken, by which the moments' bias is corrected. */
  public int steps() {
    return steps;
  }

  /**
   * Puts back what was saved, the moments having been put into {@link #first} and {@link #second}.
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

  /** The norm over all parameters' gradients. */
  public double gradientNorm() {
    double sum = 0;
    for (Parameter parameter : parameters) {
      for (float g : parameter.gradient()) {
        sum += (double) g * g;
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
      float decay = parameter.isMatrix() ? (float) (1 - rate * weightDecay) : 1;
      update(parameter, first.get(p), second.get(p), scale, stepSize, correction, decay);
      parameter.clearGradient();
    }
    return norm;
  }

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

  private void update(
      Parameter parameter,
      float[] m,
      float[] v,
      float scale,
      float stepSize,
      float correction,
      float decay) {
    float[] gradient = parameter.gradient();
    for (int i = 0; i < gradient.length; i++) {
      float g = gradient[i] * scale;
      m[i] = beta1 * m[i] + (1 - beta1) * g;
      v[i] = beta2 * v[i] + (1 - beta2) * g * g;
      float denominator = (float) Math.sqrt(v[i]) * correction + epsilon;
      parameter.set(i, parameter.get(i) * decay - stepSize * m[i] / denominator);
    }
  }
}
