package io.tercel.server.cli;

import java.nio.file.Path;
import java.util.ServiceLoader;

/**
 * Serves a model in this process, for the commands that need a server and were given a model
 * instead. Found by {@link ServiceLoader}. They talk to it over the loopback interface, as to any
 * other, so that what they get is what its clients get.
 */
public interface LocalServing {
  /**
   * Starts a server on a free port of the loopback interface.
   *
   * @param model the folder of the model's files
   * @return when it is ready to answer
   */
  RunningServer start(Path model);

  /** The one that this installation has. */
  static LocalServing find() {
    return ServiceLoader.load(LocalServing.class)
        .findFirst()
        .orElseThrow(
            () ->
                new UserException(
                    "--model: this installation can't serve by itself; start tercel serve --model"
                        + " and give its address as --url"));
  }
}
