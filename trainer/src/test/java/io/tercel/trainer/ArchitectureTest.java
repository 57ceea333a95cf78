package io.tercel.trainer;

import static com.tngtech.archunit.base.DescribedPredicate.not;
import static com.tngtech.archunit.core.domain.JavaCall.Predicates.target;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.belongToAnyOf;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
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

/** The module law, as far as it concerns the trainer: gradients, and nobody's requests. */
class ArchitectureTest {
  private static final JavaClasses TRAINER =
      new ClassFileImporter()
          .withImportOption(new ImportOption.DoNotIncludeTests())
          .importPackages("io.tercel.trainer");

  @Test
  void imported_isWhatThereIs() {
    assertTrue(TRAINER.contain("io.tercel.trainer.qat.QatModel"));
  }

  /** PyTorch is 112 MB and slow to start; evaluating, rounding and making problems need none. */
  @Test
  void djlsEngine_onlyWhereGradientsAre() {
    noClasses()
        .that()
        .resideOutsideOfPackages(
            "io.tercel.trainer.torch..",
            "io.tercel.trainer.qat..",
            "io.tercel.trainer.distill..",
            "io.tercel.trainer.grpo..",
            "io.tercel.trainer.train..",
            "io.tercel.trainer.ptq.flatquant..")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("ai.djl..")
        .check(TRAINER);
  }

  /** A model that runs is built in {@code server.model}, and sockets are the server's. */
  @Test
  void engines_areNotBuiltHere() {
    noClasses()
        .should()
        .callConstructorWhere(target(owner(belongToAnyOf(Engine.class, CpuBackend.class))))
        .check(TRAINER);
  }

  @Test
  void grpc_onlyInApiAndWorkers() {
    noClasses()
        .that()
        .resideOutsideOfPackages("io.tercel.trainer.api..", "io.tercel.trainer.worker..")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage("io.grpc..", "io.tercel.proto..", "com.google.protobuf..")
        .check(TRAINER);
  }

  @Test
  void trainer_knowsNoSocketsAndNoApi() {
    noClasses()
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(
            "io.netty..",
            "io.tercel.server.http..",
            "io.tercel.server.openai..",
            "io.tercel.server.anthropic..",
            "io.tercel.server.request..",
            "io.tercel.server.api..",
            "io.tercel.server.answer..",
            "io.tercel.loadtests..",
            "io.tercel.kernels.tornado..")
        .check(TRAINER);
  }

  /** What bits mean needs no gradients; what quantizes and what trains stand beside each other. */
  @Test
  void quantAndTorch_areTheGround() {
    forbid("io.tercel.trainer.files..", "io.tercel.trainer.(*)..");
    forbid("io.tercel.trainer.quant..", "io.tercel.trainer.torch..");
    for (String user : new String[] {"ptq", "qat", "train", "eval", "problems", "data"}) {
      forbid("io.tercel.trainer.quant..", "io.tercel.trainer." + user + "..");
      forbid("io.tercel.trainer.torch..", "io.tercel.trainer." + user + "..");
    }
    forbid("io.tercel.trainer.qat..", "io.tercel.trainer.data..");
    forbid("io.tercel.trainer.ptq..", "io.tercel.trainer.qat..");
    forbid("io.tercel.trainer.qat..", "io.tercel.trainer.ptq..");
    for (String user : new String[] {"ptq", "train", "eval", "problems"}) {
      forbid("io.tercel.trainer.share..", "io.tercel.trainer." + user + "..");
    }
  }

  private static void forbid(String from, String to) {
    noClasses()
        .that()
        .resideInAPackage(from)
        .should()
        .dependOnClassesThat(resideInAPackage(to).and(not(resideInAPackage(from))))
        .check(TRAINER);
  }

  @Test
  void packages_haveNoCycles() {
    slices().matching("io.tercel.trainer.(*)..").should().beFreeOfCycles().check(TRAINER);
  }

  @Test
  void names_sayWhatAThingIs() {
    noClasses()
        .should()
        .haveNameMatching(".*(Utils?|Helpers?|Manager|Impl)(\\$.*)?")
        .because("a noun that says nothing holds anything")
        .check(TRAINER);
  }
}
