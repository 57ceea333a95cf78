package io.tercel.server.cli;

import io.tercel.server.grpc.GrpcServer;
import io.tercel.server.http.HttpServer;
import io.tercel.server.model.ByteSize;
import io.tercel.server.model.RunningModel;
import io.tercel.server.model.ServingPlan;
import java.io.PrintWriter;

/** What {@code tercel serve} says once it is ready: what is served where, and what to try. */
final class Announcement {
  private final RunningModel running;
  private final Endpoints endpoints;
  private final PortOptions ports;

  Announcement(RunningModel running, Endpoints endpoints, PortOptions ports) {
    this.running = running;
    this.endpoints = endpoints;
    this.ports = ports;
  }

  /**
   * Says it.
   *
   * @param seconds that it took to get there
   */
  void print(PrintWriter out, double seconds) {
    String host = ports.host();
    String scheme = endpoints.http().config().scheme();
    String name = endpoints.api().config().modelNames().getFirst();
    ServingPlan plan = running.plan();
    boolean guarded = endpoints.http().config().keys().guardClients();
    out.printf(
        "Serving %s on %s://%s:%d/v1 (%s backend, %s weights, %s KV for %d tokens, context %d), ready in %.1f s.%n",
        name,
        scheme,
        host,
        endpoints.http().port(),
        running.backendName(),
        ByteSize.format(plan.weights().offHeapBytes()),
        plan.kv().type().label(),
        plan.kvTokens(),
        plan.maxModelLen(),
        seconds);
    out.printf(
        "Try: curl %s://%s:%d/v1/chat/completions -H 'content-type: application/json'%s -d"
            + " '{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]}'%n",
        scheme,
        host,
        endpoints.http().port(),
        guarded ? " -H \"authorization: Bearer $TERCEL_API_KEY\"" : "",
        name,
        "What is 412 + 358?");
    if (ports.page()) {
      out.printf("Page: %s://%s:%d/ (chat), /dashboard%n", scheme, host, endpoints.http().port());
    }
    GrpcServer grpc = endpoints.grpc();
    if (grpc != null) {
      out.printf("gRPC on %s:%d (tercel.v1, health, reflection).%n", host, grpc.port());
    }
    HttpServer admin = endpoints.admin();
    if (admin != null) {
      out.printf(
          "Admin on %s://%s:%d (control, probes, metrics).%n",
          scheme, ports.adminHost(), admin.port());
    }
    if (!guarded && !endpoints.http().config().loopback()) {
      out.println(
          "Warning: bound to " + host + " without --api-key; everyone who reaches it may use it.");
    }
    out.flush();
  }
}
