// Formulas within Markdown: $…$, $$…$$, \(…\), \[…\] become MathML.

const INLINE = [/^\\\((.+?)\\\)/s, /^\$(?![\s$])((?:\\.|[^\\$\n])+?)(?<!\s)\$(?!\d)/];
const BOXED = [/^(\\boxed\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\})/]; // models write it outside of formulas too
const DISPLAY = [/^\\\[(.+?)\\\]/s, /^\$\$(.+?)\$\$/s];

function matched(patterns, text) {
  for (const pattern of patterns) {
    const match = pattern.exec(text);
    if (match) {
      return match;
    }
  }
  return null;
}

/** MathML as text. Its styles are put aside: the page's policy lets no markup have any. */
function mathml(tex, display) {
  return temml
    .renderToString(tex, { displayMode: display, throwOnError: false, trust: false, maxExpand: 200, maxSize: [20, 50] })
    .replaceAll(' style="', ' data-math-style="');
}

function extension(name, level, patterns, begins, display) {
  return {
    name,
    level,
    start: (text) => {
      const at = text.search(begins);
      return at < 0 ? undefined : at;
    },
    tokenizer(text) {
      const match = matched(patterns, text);
      return match ? { type: name, raw: match[0], tex: match[1].trim() } : undefined;
    },
    renderer: (token) => mathml(token.tex, display),
  };
}

/** For marked. */
export const extensions = [
  extension("mathBlock", "block", DISPLAY, /\\\[|\$\$/, true),
  extension("mathDisplay", "inline", DISPLAY, /\\\[|\$\$/, true),
  extension("math", "inline", INLINE, /\\\(|\$/, false),
  extension("boxed", "inline", BOXED, /\\boxed\{/, false),
];

const HARMLESS = /^(padding|margin|text-align|color|background-color|border|width|height|min-width|vertical-align|font-(weight|size|style)|white-space|display|math-)/;

/** Gives the formulas of a sanitized tree their styles back, by property, as scripts may. */
export function styled(tree) {
  for (const element of tree.querySelectorAll("math[data-math-style], math [data-math-style]")) {
    for (const declaration of element.dataset.mathStyle.split(";")) {
      const colon = declaration.indexOf(":");
      const name = declaration.slice(0, colon).trim();
      if (colon > 0 && HARMLESS.test(name) && !/url|\\/i.test(declaration)) {
        element.style.setProperty(name, declaration.slice(colon + 1).trim());
      }
    }
    delete element.dataset.mathStyle;
  }
}
