// How answers are made: fields of the request, kept from visit to visit. Empty ones are the model's own.

const KEPT = "tercel-settings";
const NAMES = ["system", "temperature", "top-p", "max-tokens", "thinking", "budget", "fields"];
const NUMBERS = { temperature: "temperature", "top-p": "top_p", "max-tokens": "max_tokens" };

const field = (name) => document.getElementById(name);

/** Fills the form with what was kept, and keeps what changes. */
export function restore() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT) ?? "{}");
    for (const name of NAMES) {
      if (typeof kept[name] === "string") {
        field(name).value = kept[name];
      }
    }
  } catch {
    localStorage.removeItem(KEPT);
  }
  const changed = () => {
    field("budget").disabled = field("thinking").value === "off";
    localStorage.setItem(KEPT, JSON.stringify(Object.fromEntries(NAMES.map((name) => [name, field(name).value]))));
  };
  NAMES.forEach((name) => field(name).addEventListener("input", changed));
  field("budget").disabled = field("thinking").value === "off";
}

/**
 * The fields that were set.
 *
 * @throws Error that says what to mend
 */
export function fields() {
  const request = {};
  for (const [name, key] of Object.entries(NUMBERS)) {
    const number = numberOf(name);
    if (number !== null) {
      request[key] = number;
    }
  }
  if (field("thinking").value === "off") {
    request.chat_template_kwargs = { enable_thinking: false };
  } else {
    const budget = numberOf("budget");
    if (budget !== null) {
      request.thinking_token_budget = budget;
    }
  }
  return Object.assign(request, further());
}

/** The system prompt; empty for none. */
export function system() {
  return field("system").value.trim();
}

function numberOf(name) {
  const input = field(name);
  if (!input.validity.valid) {
    input.closest("details").open = true;
    input.focus();
    throw new Error(`${input.labels[0].textContent.trim()}: ${input.validationMessage}`);
  }
  return input.value === "" ? null : input.valueAsNumber;
}

function further() {
  const text = field("fields").value.trim();
  if (text === "") {
    return {};
  }
  try {
    const value = JSON.parse(text);
    if (value !== null && typeof value === "object" && !Array.isArray(value)) {
      return value;
    }
  } catch {
    // said below
  }
  throw new Error('Further fields must be one JSON object, such as {"seed": 7}.');
}
