package io.tercel.kernels.tornado;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import org.junit.jupiter.api.Test;

class ArchitectureTest {
  private static final JavaClasses TORNADO =
      new ClassFileImporter()
          .withImportOption(new ImportOption.DoNotIncludeTests())
          .importPackages("io.tercel.kernels.tornado");

  @Test
  void tornado_knowsKernelsAndNothingElse() {
    classes()
        .should()
        .onlyDependOnClassesThat()
        .resideInAnyPackage(
            "java..",
            "io.tercel.kernels.tornado..",
            "io.tercel.kernels.format..",
            "io.tercel.kernels.memory..",
            "io.tercel.kernels.ops..",
            "io.tercel.kernels.scalar..",
            "uk.ac.manchester.tornado.api..",
            "org.jspecify.annotations..")
        .because("it implements the contract of kernels, and requests are the server's")
        .check(TORNADO);
  }
}
