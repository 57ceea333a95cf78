package io.tercel.server;

import static com.tngtech.archunit.core.domain.JavaCall.Predicates.target;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.belongToAnyOf;
import static com.tngtech.archunit.core.domain.properties.HasOwner.Predicates.With.owner;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import io.tercel.kernels.model.CpuBackend;
import io.tercel.server.engine.Engine;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The module law, as far as it concerns the server: requests, and nobody's numerics. */
class ArchitectureTest {
  private static final JavaClasses SERVER =
      new ClassFileImporter()
          .withImportOption(new ImportOption.DoNotIncludeTests())
          .importPackages("io.tercel.server");

  @Test
  void imported_isWhatThereIs() {
    assertTrue(SERVER.contain("io.tercel.server.engine.Engine"));
  }

  /** Each library has one package that may know it. */
  @ParameterizedTest
  @CsvSource({
    "io.grpc, grpc",
    "com.google.protobuf, grpc",
    "io.tercel.proto, grpc",
    "io.prometheus, metrics",
    "io.opentelemetry, trace",
    "org.snakeyaml, yaml",
    "ai.djl, text",
    "picocli, cli",
    "me.tongfei.progressbar, cli",
  })
  void library_onlyIn(String library, String owner) {
    noClasses()
        .that()
        .resideOutsideOfPackage("io.tercel.server." + owner + "..")
        .should()
        .dependOnClassesThat()
        .resideInAPackage(library + "..")
        .allowEmptyShould(true)
        .check(SERVER);
  }

  /** gRPC's transport is Netty too, so its server sets up event loops of its own. */
  @Test
  void netty_onlyInHttpAndInGrpcsTransport() {
    noClasses()
        .that()
        .resideOutsideOfPackages("io.tercel.server.http..", "io.tercel.server.grpc..")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("io.netty..")
        .check(SERVER);
  }

  @Test
  void server_computesNothing() {
    noClasses()
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage("jdk.incubator.vector..", "uk.ac.manchester..", "ai.djl.ndarray..")
        .because("kernels own numerics and memory")
        .check(SERVER);
  }

  @Test
  void server_knowsNeitherTrainerNorLoadTests() {
    noClasses()
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(
            "io.tercel.trainer..", "io.tercel.loadtests..", "io.tercel.kernels.tornado..")
        .check(SERVER);
  }

  /** The engine serves anybody who submits: it knows no wire, no text and no command line. */
  @Test
  void engine_knowsNoneOfItsUsers() {
    noClasses()
        .that()
        .resideInAPackage("io.tercel.server.engine..")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(
            "io.tercel.server.call..",
            "io.tercel.server.http..",
            "io.tercel.server.openai..",
            "io.tercel.server.anthropic..",
            "io.tercel.server.api..",
            "io.tercel.server.request..",
            "io.tercel.server.control..",
            "io.tercel.server.answer..",
            "io.tercel.server.grpc..",
            "io.tercel.server.model..",
            "io.tercel.server.text..",
            "io.tercel.server.cli..",
            "io.tercel.server.hub..",
            "com.fasterxml.jackson..")
        .check(SERVER);
  }

  /** Each room knows those below it; see docs/architecture.md. */
  @ParameterizedTest
  @CsvSource({
    // who, whom it may not know
    "http, openai", // sockets know no API
    "http, answer",
    "http, model",
    "http, engine",
    "http, text",
    "answer, http", // what the engine says becomes text whatever carries it
    "answer, openai",
    "answer, request",
    "answer, anthropic",
    "http, anthropic",
    "http, request",
    "http, api",
    "http, page",
    "page, call", // files, and nothing that a request could ask of a model
    "page, openai",
    "page, anthropic",
    "page, model",
    "page, metrics",
    "api, page", // who assembles the ports says what is beside the APIs
    "request, http", // what is asked means the same whatever carries it, and on every API
    "request, openai",
    "request, anthropic",
    "openai, anthropic", // no API knows another
    "anthropic, openai",
    "sglang, openai",
    "sglang, anthropic",
    "sglang, control",
    "openai, sglang",
    "request, sglang",
    "anthropic, control",
    "anthropic, grpc",
    "batch, http", // it asks a server, of whatever kind, over its wire
    "batch, model",
    "batch, engine",
    "batch, openai",
    "model, request",
    "model, http",
    "model, openai",
    "model, answer",
    "model, cli",
    "openai, control",
    "model, control",
    "http, control",
    "control, grpc", // it is steered alike on every wire
    "openai, grpc", // what a request means is decided once, whatever wire brings it
    "call, http",
    "log, http", // what is told of a call is the same on every wire
    "trace, http",
    "access, http",
    "engine, kvevents", // it tells whoever listens
    "model, kvevents",
    "kvevents, model",
    "kvevents, http",
  })
  void room_knowsNothingOf(String room, String other) {
    noClasses()
        .that()
        .resideInAPackage("io.tercel.server." + room + "..")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("io.tercel.server." + other + "..")
        .check(SERVER);
  }

  /** The command line, the trainer and the tests find what runs in one place. */
  @Test
  void engines_areBuiltInModelAlone() {
    noClasses()
        .that()
        .resideOutsideOfPackages("io.tercel.server.model..", "io.tercel.server.engine..")
        .should()
        .callConstructorWhere(target(owner(belongToAnyOf(Engine.class, CpuBackend.class))))
        .check(SERVER);
  }

  @Test
  void packages_haveNoCycles() {
    slices().matching("io.tercel.server.(*)..").should().beFreeOfCycles().check(SERVER);
  }

  @Test
  void names_sayWhatAThingIs() {
    noClasses()
        .that()
        .doNotHaveSimpleName("BlockManager")
        .should()
        .haveNameMatching(".*(Utils?|Helpers?|Manager|Impl|SequenceGroup)(\\$.*)?")
        .because("a noun that says nothing holds anything")
        .check(SERVER);
  }
}
