package io.tercel.trainer.worker;

import com.google.protobuf.Descriptors.FieldDescriptor;
import io.tercel.proto.v1.GetInfoResponse;
import io.tercel.proto.v1.GetModelResponse;
import io.tercel.proto.v1.ModelShape;
import io.tercel.proto.v1.TensorShape;
import io.tercel.server.UserException;
import io.tercel.server.grpc.ModelMessages;
import io.tercel.server.model.RunningModel;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** What a worker must serve to answer as this process's engine does. */
final class WorkerFit {
  private final GetModelResponse student;
  private final String cache;

  WorkerFit(RunningModel model) {
    student = ModelMessages.of(model.running().weights(), "");
    cache = model.info().kvType();
  }

  /**
   * Compares a worker with the student.
   *
   * @throws UserException that names the worker, the first field that differs, and both values
   */
  void require(WorkerAddress worker, GetModelResponse model, GetInfoResponse info) {
    for (FieldDescriptor field : ModelShape.getDescriptor().getFields()) {
      Object theirs = model.getShape().getField(field);
      Object ours = student.getShape().getField(field);
      if (!theirs.equals(ours)) {
        throw refusal(worker, field.getName(), theirs, ours, "serve an export of this run's model");
      }
    }
    Map<String, TensorShape> served = new HashMap<>();
    model.getTensorsList().forEach(tensor -> served.put(tensor.getName(), tensor));
    for (TensorShape ours : student.getTensorsList()) {
      TensorShape theirs = served.remove(ours.getName());
      if (!ours.equals(theirs)) {
        throw refusal(
            worker,
            ours.getName(),
            describe(theirs),
            describe(ours),
            "serve an export of the same format");
      }
    }
    if (!served.isEmpty()) {
      TensorShape more = served.values().iterator().next();
      throw refusal(
          worker, more.getName(), describe(more), "none", "serve an export of the same format");
    }
    if (!info.getKvCache().getType().equals(cache)) {
      throw refusal(
          worker,
          "kv_cache.type",
          info.getKvCache().getType(),
          cache,
          "start it with --kv-cache-dtype " + cache);
    }
  }

  private static String describe(@Nullable TensorShape tensor) {
    return tensor == null
        ? "none"
        : "%s %d x %d%s"
            .formatted(
                tensor.getFormat(),
                tensor.getRows(),
                tensor.getCols(),
                tensor.getReordered() ? ", columns reordered" : "");
  }

  private static UserException refusal(
      WorkerAddress worker, String field, Object theirs, Object ours, String fix) {
    return new UserException(
        "--rollout-servers: %s serves %s = %s where the student has %s; %s"
            .formatted(worker, field, theirs, ours, fix));
  }
}
