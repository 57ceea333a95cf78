"""Renders the same conversations with Python's jinja2, set up as Transformers does, and says where
@huggingface/jinja differs. With --write, the goldens of the cases that differ become jinja2's,
marked with "oracle": "jinja2" (it is the definition; the other is a port)."""

import json
import pathlib
import sys

import jinja2
import jinja2.ext
import jinja2.sandbox

here = pathlib.Path(__file__).parent
resources = here / "../resources/io/tercel/server/text"
conversations = json.loads((here / "conversations.json").read_text())
tokens = json.loads((here / "special-tokens.json").read_text())


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(
        x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
    trim_blocks=True, lstrip_blocks=True, extensions=[jinja2.ext.loopcontrols]
)
environment.filters["tojson"] = tojson
environment.globals["raise_exception"] = raise_exception

for file in sorted((resources / "templates").glob("*.jinja")):
    name = file.stem
    golden_file = resources / "goldens" / f"{name}.json"
    goldens = json.loads(golden_file.read_text())
    template = environment.from_string(file.read_text())
    for conversation, golden in zip(conversations, goldens, strict=True):
        try:
            text = template.render(
                **tokens[name],
                **conversation["kwargs"],
                messages=conversation["messages"],
                tools=conversation["tools"] or None,
                documents=None,
                add_generation_prompt=conversation["add_generation_prompt"],
            )
            expected = {"name": conversation["name"], "text": text}
        except (jinja2.exceptions.TemplateError, TypeError, ValueError) as e:
            expected = {"name": conversation["name"], "error": str(e)}
        same = expected.get("text") == golden.get("text")
        if not same:
            print(f"{name}: {conversation['name']}: jinja2 {expected} @huggingface/jinja {golden}")
            golden.clear()
            golden.update(expected, oracle="jinja2")
    if "--write" in sys.argv:
        golden_file.write_text(json.dumps(goldens, ensure_ascii=False, indent=1) + "\n")
