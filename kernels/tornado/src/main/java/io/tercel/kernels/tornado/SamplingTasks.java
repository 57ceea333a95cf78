package io.tercel.kernels.tornado;

import io.tercel.kernels.tornado.LinearTasks.Rows;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/** Adds the tasks that find tokens in logits to task graphs; see {@link SamplingKernels}. */
record SamplingTasks(
    KernelContext context, SamplingBuffers buffers, FloatArray powers, Grids grids) {

  /** The likeliest id and the sums of chunks. */
  void sum(TaskGraph graph, Rows logits, int vocab) {
    SamplingBuffers s = buffers;
    int chunks = SamplingBuffers.chunks(vocab);
    graph.task(
        "argMax",
        SamplingKernels::argMax,
        context,
        s.wants,
        s.asks,
        logits.array(),
        s.found,
        vocab,
        logits.stride(),
        chunks);
    add(graph, "argMax", chunks);
    graph.task(
        "sums",
        SamplingKernels::sums,
        context,
        s.wants,
        powers,
        logits.array(),
        s.found,
        s.knobs,
        s.tokens,
        s.chunks,
        vocab,
        logits.stride(),
        chunks);
    add(graph, "sums", chunks);
  }

  /** What was asked for. */
  void pick(TaskGraph graph, Rows logits, int vocab) {
    SamplingBuffers s = buffers;
    graph.task(
        "pick",
        DrawKernels::pick,
        context,
        s.wants,
        powers,
        logits.array(),
        s.found,
        s.chunks,
        s.asks,
        s.knobs,
        s.draws,
        s.tokens,
        s.values,
        s.totals,
        vocab,
        logits.stride(),
        SamplingBuffers.chunks(vocab));
    add(graph, "pick", 1);
  }

  private void add(TaskGraph graph, String task, int groups) {
    String name = graph.getTaskGraphName() + "." + task;
    grids.add(name, Grids.Axis.WANTED, groups, SamplingKernels.LOCAL, 1);
  }
}
