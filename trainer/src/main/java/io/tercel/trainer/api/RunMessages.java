package io.tercel.trainer.api;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.tercel.proto.v1.Figures;
import io.tercel.proto.v1.TrainingState;
import io.tercel.trainer.run.RunStatus;
import java.time.Duration;
import java.util.function.DoubleConsumer;

/** A run's state and the lines of its log, as messages. */
final class RunMessages {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final double MILLIS = 1e3;

  private RunMessages() {}

  static io.tercel.proto.v1.RunStatus status(RunStatus status, int steps) {
    io.tercel.proto.v1.RunStatus.Builder message =
        io.tercel.proto.v1.RunStatus.newBuilder()
            .setState(state(status.state()))
            .setStep(status.stepsDone())
            .setTotalSteps(steps);
    Duration left = status.left();
    if (left != null) {
      message.setSecondsLeft(left.toMillis() / MILLIS);
    }
    String failure = status.failure();
    if (failure != null) {
      message.setFailure(failure);
    }
    return message.build();
  }

  private static TrainingState state(RunStatus.State state) {
    return switch (state) {
      case PREPARING -> TrainingState.TRAINING_STATE_PREPARING;
      case RUNNING -> TrainingState.TRAINING_STATE_RUNNING;
      case FINISHED -> TrainingState.TRAINING_STATE_FINISHED;
      case STOPPED -> TrainingState.TRAINING_STATE_STOPPED;
      case FAILED -> TrainingState.TRAINING_STATE_FAILED;
    };
  }

  /**
   * A line of the log.
   *
   * @param now what is known of the run when it is sent
   */
  static Figures figures(String text, RunStatus now, int steps) throws JsonProcessingException {
    JsonNode line = JSON.readTree(text);
    int step = line.path("step").asInt();
    Figures.Builder figures = Figures.newBuilder().setStep(step).setTotalSteps(steps).setJson(text);
    set(line, figures::setLoss, "loss");
    set(line, figures::setReward, "reward");
    set(line, figures::setLearningRate, "lr");
    set(line, figures::setGradientNorm, "gradient_norm");
    set(line, figures::setTokensPerSecond, "tokens_per_second", "train_tokens_per_second");
    set(line, figures::setRolloutTokensPerSecond, "rollout_tokens_per_second");
    set(line, figures::setEntropy, "entropy");
    set(line, figures::setKlStart, "kl_start");
    set(line, figures::setLength, "length", "greedy_length");
    set(line, figures::setAccuracy, "accuracy");
    set(line, figures::setHeldOutLoss, "held_out_loss");
    if (line.hasNonNull("version")) {
      figures.setWeightVersion(line.get("version").asLong());
    }
    Duration left = now.left();
    if (left != null && step == now.stepsDone()) {
      figures.setSecondsLeft(left.toMillis() / MILLIS);
    }
    return figures.build();
  }

  /** Sets what the first of these fields that there is says. */
  private static void set(JsonNode line, DoubleConsumer setter, String... names) {
    for (String name : names) {
      if (line.path(name).isNumber()) {
        setter.accept(line.get(name).asDouble());
        return;
      }
    }
  }
}
