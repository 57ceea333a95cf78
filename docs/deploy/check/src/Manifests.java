import com.google.gson.Gson;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import io.kubernetes.client.openapi.models.V1ConfigMap;
import io.kubernetes.client.openapi.models.V1Deployment;
import io.kubernetes.client.openapi.models.V1NetworkPolicy;
import io.kubernetes.client.openapi.models.V1PodDisruptionBudget;
import io.kubernetes.client.openapi.models.V1Role;
import io.kubernetes.client.openapi.models.V1RoleBinding;
import io.kubernetes.client.openapi.models.V1Secret;
import io.kubernetes.client.openapi.models.V1Service;
import io.kubernetes.client.openapi.models.V1ServiceAccount;
import io.kubernetes.client.openapi.models.V1StatefulSet;
import java.io.IOException;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.snakeyaml.engine.v2.api.Load;
import org.snakeyaml.engine.v2.api.LoadSettings;

/**
 * What a chart was rendered to, held against the API that Kubernetes publishes, as its own Java client has it: a field
 * that is unknown, missing or of another type is an error. Kinds of extensions are left to schemas.mjs.
 */
final class Manifests {
  /** Throws where an object is not one of its kind. */
  private interface Schema {
    void validate(JsonElement object) throws IOException;
  }

  private static final Map<String, Schema> KINDS =
      Map.of(
          "v1/Service", V1Service::validateJsonElement,
          "v1/ServiceAccount", V1ServiceAccount::validateJsonElement,
          "v1/Secret", V1Secret::validateJsonElement,
          "v1/ConfigMap", V1ConfigMap::validateJsonElement,
          "apps/v1/Deployment", V1Deployment::validateJsonElement,
          "apps/v1/StatefulSet", V1StatefulSet::validateJsonElement,
          "policy/v1/PodDisruptionBudget", V1PodDisruptionBudget::validateJsonElement,
          "networking.k8s.io/v1/NetworkPolicy", V1NetworkPolicy::validateJsonElement,
          "rbac.authorization.k8s.io/v1/Role", V1Role::validateJsonElement,
          "rbac.authorization.k8s.io/v1/RoleBinding", V1RoleBinding::validateJsonElement);

  private static final Set<String> EXTENSIONS =
      Set.of(
          "monitoring.coreos.com/v1/PodMonitor",
          "keda.sh/v1alpha1/ScaledObject",
          "inference.networking.k8s.io/v1/InferencePool");

  private final Map<String, Integer> counts = new TreeMap<>();

  /** How many of each kind there were. */
  Map<String, Integer> counts() {
    return counts;
  }

  /** Checks every object of a rendered file. */
  void check(String file, String yaml) throws IOException {
    for (Object object : new Load(LoadSettings.builder().setLabel(file).build()).loadAllFromString(yaml)) {
      if (object != null) { // a document of comments alone
        check(file, new Gson().toJsonTree(object).getAsJsonObject());
      }
    }
  }

  private void check(String file, JsonObject object) throws IOException {
    String kind = object.get("apiVersion").getAsString() + "/" + object.get("kind").getAsString();
    Schema schema = KINDS.get(kind);
    try {
      if (schema != null) {
        schema.validate(object);
      } else if (!EXTENSIONS.contains(kind)) {
        throw new IllegalArgumentException("no schema is known for it");
      }
    } catch (IllegalArgumentException | IOException e) {
      throw new IllegalStateException(file + ": " + kind + ": " + e.getMessage(), e);
    }
    counts.merge(kind, 1, Integer::sum);
  }
}
