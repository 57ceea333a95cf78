package io.tercel.server.cli;

import io.tercel.kernels.ops.ComputeDevice;
import io.tercel.server.model.Backends;
import io.tercel.server.model.ByteSize;
import java.io.PrintWriter;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/**
 * {@code tercel devices}: what {@code --backend auto} is on this processor, and what {@code
 * --backend tornado --device i} can run on.
 */
@CommandLine.Command(
    name = "devices",
    description = "Says which backend this processor gets, and what --backend tornado can run on.",
    mixinStandardHelpOptions = true)
public final class DevicesCommand implements Command {
  @Spec private @Nullable CommandSpec spec;

  @Override
  public Integer call() {
    PrintWriter out =
        spec == null ? new PrintWriter(System.out, true) : spec.commandLine().getOut();
    out.println("cpu  " + Backends.cpu());
    out.println("     " + Backends.cpuPeaks());
    out.flush();
    for (ComputeDevice device : Backends.devices(Backends.TORNADO)) {
      out.printf(
          Locale.ROOT,
          "%d  %s (%s), %s of memory, arrays of at most %s%n",
          device.index(),
          device.name(),
          device.platform(),
          ByteSize.format(device.memoryBytes()),
          ByteSize.format(device.allocationBytes()));
    }
    out.flush();
    return 0;
  }
}
