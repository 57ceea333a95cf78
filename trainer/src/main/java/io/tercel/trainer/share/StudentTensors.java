package io.tercel.trainer.share;

import io.tercel.trainer.qat.QatModel;
import io.tercel.trainer.qat.TrainedPart;
import io.tercel.trainer.quant.FakeQuant;
import io.tercel.trainer.torch.Parameter;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/** What training changes of a student, in the form in which it is shared. */
public final class StudentTensors {
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;

  private final List<TrainedTensor> tensors = new ArrayList<>();
  private final List<Runnable> refreshing = new ArrayList<>();

  /** Of those parameters that the student trains. */
  public StudentTensors(QatModel student) {
    Arena arena = Arena.ofAuto();
    for (Parameter parameter : student.parameters()) {
      FakeQuant grid = parameter.quant();
      if (grid != null && parameter.wantsGradient()) {
        tensors.add(
            new TrainedTensor.Linear(parameter.name(), parameter.values(), new Rounding(grid)));
        refreshing.add(parameter::read); // scales follow what they have grown by
      } else if (grid == null && parameter.trained()) {
        tensors.add(floats(parameter, arena));
      }
    }
  }

  private TrainedTensor floats(Parameter parameter, Arena arena) {
    if (TrainedPart.of(parameter) != TrainedPart.CLIPS) {
      refreshing.add(parameter::read);
      return new TrainedTensor.Floats(parameter.name(), parameter.read());
    }
    MemorySegment shares = arena.allocate(4L * parameter.size(), 64);
    refreshing.add(
        () ->
            MemorySegment.copy(QatModel.shares(parameter), 0, shares, FLOAT, 0, parameter.size()));
    return new TrainedTensor.Floats(parameter.name(), shares);
  }

  /** All, to be given to {@link ServedStudent#share} once. */
  public List<TrainedTensor> all() {
    return List.copyOf(tensors);
  }

  /** Brings them up to what the optimizer has made; to be called before they are published. */
  public void refresh() {
    refreshing.forEach(Runnable::run);
  }

  private record Rounding(FakeQuant grid) implements WeightRounding {
    @Override
    public int rows() {
      return grid.rows();
    }

    @Override
    public int cols() {
      return grid.cols();
    }

    @Override
    public int group() {
      return grid.group();
    }

    @Override
    public float scale(int row, int group) {
      return grid.scale(row, group);
    }

    @Override
    public int zero(int row, int group) {
      return grid.zero(row, group);
    }

    @Override
    public void codes(MemorySegment latents, int row, byte[] to) {
      grid.codes(latents, row, to);
    }
  }
}
