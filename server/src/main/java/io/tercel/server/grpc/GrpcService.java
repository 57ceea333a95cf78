package io.tercel.server.grpc;

import io.grpc.BindableService;
import java.util.Set;

/**
 * A service beside Inference and Control that whoever starts a server brings along. It is guarded
 * by the server's keys, seen by reflection and health, and its calls are waited for as others are.
 */
public interface GrpcService {
  /** Its full name, such as {@code tercel.v1.Training}. */
  String name();

  /** Its methods that the admin key opens, by their bare names; a client's key opens the others. */
  Set<String> adminMethods();

  /**
   * What answers.
   *
   * @param calls that runs its calls
   */
  BindableService bind(GrpcCalls calls);
}
