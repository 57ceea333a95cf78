package io.tercel.trainer.run;

import io.tercel.kernels.format.DType;
import io.tercel.kernels.format.SafetensorsFile;
import io.tercel.kernels.format.Tensor;
import io.tercel.server.UserException;
import io.tercel.trainer.files.SafetensorsWriter;
import io.tercel.trainer.files.SafetensorsWriter.Entry;
import io.tercel.trainer.torch.AdamW;
import io.tercel.trainer.torch.Parameter;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * What a run needs to go on as if it had not stopped, in one file that is replaced whole: fp32
 * values with what lies below their last bit, both moments, and how many steps are done. Data and
 * random numbers are functions of the step.
 */
public final class RunState {
  /** Its name in a run's folder. */
  public static final String FILE = "training.safetensors";

  // a float holds a step exactly up to 2^24, so it is split
  private static final int RADIX = 1 << 20;

  private RunState() {}

  /** Replaces the file. */
  public static void save(Path file, AdamW optimizer, int stepsDone) throws IOException {
    int[] counts = {
      stepsDone / RADIX, stepsDone % RADIX, optimizer.steps() / RADIX, optimizer.steps() % RADIX
    };
    List<Entry> entries = new ArrayList<>();
    entries.add(new Entry("steps", DType.F32, counts.length));
    for (Parameter parameter : optimizer.parameters()) {
      entries.add(new Entry("value." + parameter.name(), DType.F32, parameter.size()));
      entries.add(new Entry("first." + parameter.name(), DType.F32, parameter.size()));
      entries.add(new Entry("second." + parameter.name(), DType.F32, parameter.size()));
      entries.add(new Entry("rest." + parameter.name(), DType.F32, parameter.size()));
    }
    try (SafetensorsWriter out = SafetensorsWriter.create(file, entries)) {
      out.write("steps", i -> counts[i]);
      for (int p = 0; p < optimizer.parameters().size(); p++) {
        Parameter parameter = optimizer.parameters().get(p);
        out.write("value." + parameter.name(), parameter.values());
        out.write("first." + parameter.name(), optimizer.first(p));
        out.write("second." + parameter.name(), optimizer.second(p));
        out.write("rest." + parameter.name(), optimizer.rest(p));
      }
      out.finish();
    }
  }

  /** Restores all and returns the steps done. */
  public static int load(Path file, AdamW optimizer) {
    try (Arena arena = Arena.ofConfined()) {
      Map<String, Tensor> tensors = new HashMap<>();
      SafetensorsFile.open(file, arena).tensors().forEach(t -> tensors.put(t.name(), t));
      List<Parameter> parameters = optimizer.parameters();
      for (int p = 0; p < parameters.size(); p++) {
        Parameter parameter = parameters.get(p);
        String name = parameter.name();
        parameter.set(values(file, tensors, "value." + name, parameter.size()));
        optimizer.first(p).copyFrom(values(file, tensors, "first." + name, parameter.size()));
        optimizer.second(p).copyFrom(values(file, tensors, "second." + name, parameter.size()));
        optimizer.rest(p).copyFrom(values(file, tensors, "rest." + name, parameter.size()));
      }
      float[] counts = floats(file, tensors, "steps", 4);
      optimizer.restore((int) counts[2] * RADIX + (int) counts[3]);
      return (int) counts[0] * RADIX + (int) counts[1];
    }
  }

  private static MemorySegment values(
      Path file, Map<String, Tensor> tensors, String name, int size) {
    return tensor(file, tensors, name, size).data();
  }

  private static float[] floats(Path file, Map<String, Tensor> tensors, String name, int size) {
    return tensor(file, tensors, name, size).toFloats();
  }

  private static Tensor tensor(Path file, Map<String, Tensor> tensors, String name, int size) {
    Tensor tensor = tensors.get(name);
    if (tensor == null || tensor.elements() != size || tensor.dtype() != DType.F32) {
      throw new UserException(
          file + ": it is of another model or version: " + name + " does not fit");
    }
    return tensor;
  }
}
