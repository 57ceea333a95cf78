package io.tercel.loadtests;

import static com.tngtech.archunit.base.DescribedPredicate.not;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.belongToAnyOf;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import io.tercel.server.UserException;
import io.tercel.server.cli.Command;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The module law, as far as it concerns load tests: a client as any other. */
class ArchitectureTest {
  private static final JavaClasses LOAD_TESTS =
      new ClassFileImporter()
          .withImportOption(new ImportOption.DoNotIncludeTests())
          .importPackages("io.tercel.loadtests");

  @Test
  void imported_isWhatThereIs() {
    assertTrue(LOAD_TESTS.contain("io.tercel.loadtests.cli.BenchServeCommand"));
  }

  /** Of Tercel they know the contract on the wire and how to be a command. */
  @Test
  void loadTests_knowNothingOfTheServerWithin() {
    noClasses()
        .should()
        .dependOnClassesThat(
            resideInAPackage("io.tercel..")
                .and(
                    not(
                        resideInAnyPackage(
                            "io.tercel.loadtests..", "io.tercel.proto..", "tercel.v1..")))
                .and(not(belongToAnyOf(Command.class, UserException.class))))
        .check(LOAD_TESTS);
  }

  /** Each library has one package that may know it. */
  @ParameterizedTest
  @CsvSource({
    "java.net.http, client",
    "io.grpc, client",
    "io.tercel.server, cli",
    "picocli, cli",
    "me.tongfei.progressbar, cli",
    "org.knowm.xchart, report",
    "org.HdrHistogram, metrics",
  })
  void library_onlyIn(String library, String owner) {
    noClasses()
        .that()
        .resideOutsideOfPackage("io.tercel.loadtests." + owner + "..")
        .should()
        .dependOnClassesThat()
        .resideInAPackage(library + "..")
        .allowEmptyShould(true)
        .check(LOAD_TESTS);
  }

  @Test
  void packages_haveNoCycles() {
    slices().matching("io.tercel.loadtests.(*)..").should().beFreeOfCycles().check(LOAD_TESTS);
  }

  @Test
  void names_sayWhatAThingIs() {
    noClasses()
        .should()
        .haveNameMatching(".*(Utils?|Helpers?|Manager|Impl)(\\$.*)?")
        .because("a noun that says nothing holds anything")
        .check(LOAD_TESTS);
  }
}
