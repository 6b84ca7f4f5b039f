package dev.lanes;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Packages see only those below them. */
class ArchitectureTest {
  /** From what is built on the API that a user types, down to what everyone may see. */
  private static final List<String> LAYERS = List.of(
      "dev.lanes.needle", "dev.lanes", "dev.lanes.quantize", "dev.lanes.engine", "dev.lanes.context", "dev.lanes.cache", "dev.lanes.model", "dev.lanes.token",
      "dev.lanes.format", "dev.lanes.backend", "dev.lanes.error");

  private static JavaClasses classes;

  @BeforeAll
  static void read() {
    classes = new ClassFileImporter().withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
        .withImportOption(location -> !location.contains("lanes-kernels") && !location.contains("/kernels/"))
        .importPackages("dev.lanes");
  }

  static List<String> layers() {
    return LAYERS;
  }

  @ParameterizedTest
  @MethodSource("layers")
  void seesOnlyLayersBelow(String layer) {
    List<String> above = LAYERS.subList(0, LAYERS.indexOf(layer));
    noClasses().that(belongTo(List.of(layer))).should().dependOnClassesThat(belongTo(above)).allowEmptyShould(true).check(classes);
  }

  @Test
  void theRuleFindsWhatItForbids() {
    JavaClass model = classes.get("dev.lanes.model.TransformerModel");
    assertThat(belongTo(List.of("dev.lanes.model")).test(model)).isTrue();
    assertThatThrownBy(() -> noClasses().that(belongTo(List.of("dev.lanes.model"))).should()
        .dependOnClassesThat(belongTo(List.of("dev.lanes.format"))).check(classes)).isInstanceOf(AssertionError.class);
  }

  @Test
  void everyPackageIsInALayer() {
    Set<String> strangers = classes.stream().filter(c -> layerOf(c) == null).map(JavaClass::getPackageName)
        .collect(Collectors.toCollection(TreeSet::new));
    assertThat(strangers).isEmpty();
  }

  @Test
  void onlyTheBackendKnowsTheBinding() {
    DescribedPredicate<JavaClass> binding = DescribedPredicate.describe("belong to the binding", c ->
        c.getPackageName().startsWith("org.bytedeco") || c.getPackageName().startsWith("dev.lanes.kernels"));
    DescribedPredicate<JavaClass> others =
        DescribedPredicate.describe("lie outside of dev.lanes.backend", c -> !"dev.lanes.backend".equals(layerOf(c)));
    noClasses().that(others).should().dependOnClassesThat(binding).check(classes);
    assertThat(classes.stream().flatMap(c -> c.getDirectDependenciesFromSelf().stream()).map(d -> d.getTargetClass()).filter(binding))
        .as("uses of the binding; the rule must have something to find").isNotEmpty();
  }

  private static DescribedPredicate<JavaClass> belongTo(List<String> layers) {
    return DescribedPredicate.describe("belong to " + layers, c -> layerOf(c) != null && layers.contains(layerOf(c)));
  }

  /** The layer that a class belongs to; null for one that no layer claims, such as the JDK's. */
  private static String layerOf(JavaClass c) {
    String name = c.getPackageName();
    if (name.equals("dev.lanes")) {
      return name;
    }
    for (String layer : LAYERS) {
      if (name.equals(layer) || !layer.equals("dev.lanes") && name.startsWith(layer + ".")) {
        return layer;
      }
    }
    return null;
  }
}
