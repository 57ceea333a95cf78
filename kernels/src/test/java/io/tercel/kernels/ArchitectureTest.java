package io.tercel.kernels;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import org.junit.jupiter.api.Test;

/** The module law, as far as it concerns kernels: numerics and memory, and nobody's requests. */
class ArchitectureTest {
  private static final JavaClasses KERNELS =
      new ClassFileImporter()
          .withImportOption(new ImportOption.DoNotIncludeTests())
          .importPackages("io.tercel.kernels");

  @Test
  void imported_isWhatThereIs() {
    assertTrue(KERNELS.contain("io.tercel.kernels.vector.W3Gemv"));
    assertTrue(KERNELS.size() > 60, KERNELS.size() + " classes only");
  }

  @Test
  void vectorApi_onlyInKernelsVector() {
    noClasses()
        .that()
        .resideOutsideOfPackage("io.tercel.kernels.vector")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("jdk.incubator.vector..")
        .because("every other class must run, and mean the same, without it")
        .check(KERNELS);
  }

  @Test
  void jackson_onlyInKernelsFormat() {
    noClasses()
        .that()
        .resideOutsideOfPackage("io.tercel.kernels.format")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("com.fasterxml.jackson..")
        .check(KERNELS);
  }

  @Test
  void kernels_useTheJdkAndJacksonOnly() {
    classes()
        .should()
        .onlyDependOnClassesThat()
        .resideInAnyPackage(
            "io.tercel.kernels..",
            "java..",
            "jdk.incubator.vector..",
            "com.fasterxml.jackson..",
            "org.jspecify.annotations..")
        .because("server, trainer, proto and their libraries depend on kernels, never back")
        .check(KERNELS);
  }

  /** kernels/tornado is found by ServiceLoader. */
  @Test
  void tornado_isNeverNamed() {
    noClasses()
        .that()
        .resideOutsideOfPackage("io.tercel.kernels.tornado..")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage("io.tercel.kernels.tornado..", "uk.ac.manchester..")
        .check(KERNELS);
  }

  @Test
  void packages_haveNoCycles() {
    slices().matching("io.tercel.kernels.(*)..").should().beFreeOfCycles().check(KERNELS);
  }

  /**
   * The contract knows no implementation; implementations don't know each other, but {@code jit},
   * which is {@code vector} with other linears and tries them against {@code scalar}.
   */
  @Test
  void packages_pointOneWay() {
    noClasses()
        .that()
        .resideInAPackage("io.tercel.kernels.format")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(
            "io.tercel.kernels.memory",
            "io.tercel.kernels.ops",
            "io.tercel.kernels.scalar",
            "io.tercel.kernels.vector",
            "io.tercel.kernels.jit",
            "io.tercel.kernels.model")
        .check(KERNELS);
    noClasses()
        .that()
        .resideInAnyPackage("io.tercel.kernels.memory", "io.tercel.kernels.ops")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(
            "io.tercel.kernels.scalar",
            "io.tercel.kernels.vector",
            "io.tercel.kernels.jit",
            "io.tercel.kernels.model")
        .check(KERNELS);
    noClasses()
        .that()
        .resideInAnyPackage("io.tercel.kernels.model", "io.tercel.kernels.scalar")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("io.tercel.kernels.vector")
        .check(KERNELS);
    noClasses()
        .that()
        .resideInAnyPackage("io.tercel.kernels.model", "io.tercel.kernels.vector")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("io.tercel.kernels.scalar")
        .check(KERNELS);
  }

  /** Only who chooses a backend knows it, and that isn't here. */
  @Test
  void jit_isNobodysButItsOwn() {
    noClasses()
        .that()
        .resideOutsideOfPackage("io.tercel.kernels.jit")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("io.tercel.kernels.jit")
        .check(KERNELS);
    noClasses()
        .that()
        .resideInAPackage("io.tercel.kernels.jit")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("io.tercel.kernels.model")
        .check(KERNELS);
  }

  @Test
  void names_sayWhatAThingIs() {
    noClasses()
        .should()
        .haveNameMatching(".*(Utils?|Helpers?|Manager|Impl)(\\$.*)?")
        .because("a noun that says nothing holds anything")
        .check(KERNELS);
  }
}
