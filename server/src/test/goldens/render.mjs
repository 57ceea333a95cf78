// Renders every conversation with every template by @huggingface/jinja and writes the goldens.
import { readFileSync, writeFileSync, readdirSync, mkdirSync } from "node:fs";
import { Template } from "@huggingface/jinja";

const templates = new URL("../resources/io/tercel/server/text/templates/", import.meta.url);
const goldens = new URL("../resources/io/tercel/server/text/goldens/", import.meta.url);
const conversations = JSON.parse(readFileSync(new URL("conversations.json", import.meta.url)));
const tokens = JSON.parse(readFileSync(new URL("special-tokens.json", import.meta.url)));

mkdirSync(goldens, { recursive: true });
for (const file of readdirSync(templates).filter((f) => f.endsWith(".jinja")).sort()) {
  const name = file.slice(0, -".jinja".length);
  const template = new Template(readFileSync(new URL(file, templates), "utf8"));
  const rendered = conversations.map((c) => {
    try {
      const text = template.render({
        ...tokens[name],
        ...c.kwargs,
        messages: c.messages,
        tools: c.tools.length ? c.tools : null,
        add_generation_prompt: c.add_generation_prompt,
      });
      return { name: c.name, text };
    } catch (e) {
      return { name: c.name, error: String(e.message) };
    }
  });
  writeFileSync(new URL(`${name}.json`, goldens), JSON.stringify(rendered, null, 1) + "\n");
  console.log(name, rendered.length, "errors:", rendered.filter((r) => r.error).length);
}
