// What a model writes, as elements of the page. It is not trusted: HTML is text, images are links, and what is left goes
// through DOMPurify.

import { Marked } from "./vendor/marked.esm.js";
import { extensions, styled } from "./math.js";

const escaped = (text) =>
  text.replace(/[&<>"']/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" })[c]);

const marked = new Marked({ gfm: true, async: false });
marked.use({
  extensions,
  renderer: {
    html: (token) => escaped(token.text),
    image: (token) => `<a href="${escaped(token.href)}">${escaped(token.text || token.href)}</a>`,
  },
});

DOMPurify.addHook("afterSanitizeAttributes", (node) => {
  if (node.localName === "a" && node.hasAttribute("href")) {
    node.setAttribute("target", "_blank");
    node.setAttribute("rel", "noopener noreferrer");
  }
});

const CONFIG = {
  USE_PROFILES: { html: true, mathMl: true },
  ADD_TAGS: ["semantics", "annotation"],
  FORBID_TAGS: ["style", "form", "img", "picture", "video", "audio", "button", "textarea", "select", "dialog", "details"],
  FORBID_ATTR: ["style", "id", "name", "autofocus", "accesskey", "tabindex"],
  ALLOWED_URI_REGEXP: /^(?:https?:|mailto:|#)/i,
  RETURN_DOM_FRAGMENT: true,
};

/** Replaces an element's contents by rendered Markdown. */
export function markdown(element, text) {
  const tree = DOMPurify.sanitize(marked.parse(text), CONFIG);
  styled(tree);
  element.replaceChildren(tree);
}

/** JSON, indented for reading; null where the text is none. */
export function readableJson(text) {
  const trimmed = text.trim();
  if (!/^[{[]/.test(trimmed)) {
    return null;
  }
  try {
    return JSON.stringify(JSON.parse(trimmed), null, 2);
  } catch {
    return null;
  }
}

/** Replaces an element's contents by text as it is. */
export function verbatim(element, text) {
  const pre = document.createElement("pre");
  const code = document.createElement("code");
  code.textContent = text;
  pre.append(code);
  element.replaceChildren(pre);
}
