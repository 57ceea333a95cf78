package io.tercel.trainer.repro;

import java.nio.file.Path;
import java.util.List;

/**
 * A piece of work that leaves a folder, and that is done once.
 *
 * @param after what must be done before
 * @param resumes whether a run of it that was stopped can go on; else it begins again
 */
record Stage(String name, Path folder, List<Stage> after, List<Step> steps, boolean resumes) {
  Stage {
    after = List.copyOf(after);
    steps = List.copyOf(steps);
  }

  /** The model that a stage of training or rounding leaves. */
  Path model() {
    return folder.resolve(resumes ? "run/model" : "model");
  }
}
