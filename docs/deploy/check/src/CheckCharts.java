import com.marcnuri.helm.Helm;
import com.marcnuri.helm.LintResult;
import com.marcnuri.helm.TemplateCommand;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/**
 * Renders the chart by Helm with its own values and with each example's, into files of a folder, checks what comes out,
 * and sees that values that are wrong are refused. Lint is strict.
 */
public final class CheckCharts {
  /** A value that is wrong, and what the message must name. */
  private record Wrong(String key, Object value) {}

  private static final List<Wrong> WRONG =
      List.of(
          new Wrong("kind", "DaemonSet"),
          new Wrong("replicas", -1),
          new Wrong("ports.http", 70_000),
          new Wrong("storage.size", "20"),
          new Wrong("servr.maxNumSeqs", 8),
          new Wrong("server.maxNumSeqs", 0),
          new Wrong("inferencePool.endpointPicker.failureMode", "Open"),
          new Wrong("auth.existingSecret", ""));

  public static void main(String[] args) throws IOException {
    Path charts = Path.of("docs/deploy/helm");
    Path out = Files.createDirectories(Path.of(args[0]));
    Path chart = charts.resolve("tercel");
    LintResult lint = new Helm(chart).lint().strict().call();
    if (lint.isFailed()) {
      throw new IllegalStateException("helm lint: " + lint.getMessages());
    }
    Manifests manifests = new Manifests();
    write(out.resolve("default.yaml"), chart(chart).set("auth.apiKey", "a").set("auth.adminKey", "b").call(), manifests);
    try (Stream<Path> files = Files.list(charts.resolve("examples"))) {
      for (Path values : files.sorted().toList()) {
        write(out.resolve(values.getFileName()), chart(chart).withValuesFile(values).call(), manifests);
      }
    }
    for (Wrong wrong : WRONG) {
      refuse(chart, wrong);
    }
    System.out.printf("Charts: %s; %d wrong values refused%n", manifests.counts(), WRONG.size());
  }

  private static void write(Path file, String yaml, Manifests manifests) throws IOException {
    Files.writeString(file, yaml);
    manifests.check(file.getFileName().toString(), yaml);
  }

  private static TemplateCommand chart(Path chart) {
    return new Helm(chart).template().withName("reasoning").withNamespace("llm").withKubeVersion("1.33.0");
  }

  private static void refuse(Path chart, Wrong wrong) {
    String last = wrong.key().substring(wrong.key().lastIndexOf('.') + 1);
    String first = wrong.key().substring(0, Math.max(0, wrong.key().indexOf('.')));
    try {
      chart(chart).set("auth.existingSecret", "keys").set(wrong.key(), wrong.value()).call();
    } catch (IllegalStateException e) {
      String message = String.valueOf(e.getMessage());
      if (message.contains(last) || (!first.isEmpty() && message.contains(first))) {
        return;
      }
      throw new IllegalStateException(wrong.key() + " is refused without being named: " + message, e);
    }
    throw new IllegalStateException(wrong.key() + "=" + wrong.value() + " is not refused");
  }
}
