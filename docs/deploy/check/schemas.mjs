// The kinds of extensions among what CheckCharts rendered, against the schemas that their projects publish:
// node schemas.mjs FOLDER
import { readdirSync, readFileSync } from "node:fs";
import { loadAll } from "js-yaml";
import { ScaledObject } from "@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject";
import { PodMonitor } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PodMonitor";

const kinds = {
  "keda.sh/v1alpha1/ScaledObject": ScaledObject,
  "monitoring.coreos.com/v1/PodMonitor": PodMonitor,
};
const seen = {};

for (const file of readdirSync(process.argv[2])) {
  for (const object of loadAll(readFileSync(`${process.argv[2]}/${file}`, "utf8"))) {
    const name = `${object?.apiVersion}/${object?.kind}`;
    if (kinds[name]) {
      new kinds[name](object).validate();
      seen[name] = (seen[name] ?? 0) + 1;
    }
  }
}
for (const name of Object.keys(kinds)) {
  if (!seen[name]) {
    throw new Error(`nothing of kind ${name} was rendered`);
  }
}
console.log("Extensions:", seen);
