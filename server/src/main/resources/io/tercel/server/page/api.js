// Calls of the server, with the key that it asks for.

const KEPT = "tercel-key"; // of this tab, until it is closed

/** An answer that is none. */
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** What the dialog asked before, for callers that come meanwhile. */
let asking = null;

function askForKey(wrong) {
  asking ??= new Promise((resolve, reject) => {
    const dialog = document.getElementById("key");
    const field = document.getElementById("key-field");
    const before = document.activeElement;
    document.getElementById("key-wrong").hidden = !wrong;
    const decided = new AbortController();
    const once = { signal: decided.signal };
    const done = (then) => {
      decided.abort();
      asking = null;
      field.value = "";
      dialog.close();
      before?.blur(); // Chromium gives the focus back, but not the caret
      before?.focus();
      then();
    };
    const give = () => {
      const key = field.value.trim();
      if (key !== "") {
        sessionStorage.setItem(KEPT, key);
        done(resolve);
      }
    };
    const leave = (event) => {
      event.preventDefault();
      done(() => reject(new ApiError(401, "This server needs an API key.")));
    };
    document.getElementById("key-give").addEventListener("click", give, once);
    document.getElementById("key-leave").addEventListener("click", leave, once);
    dialog.addEventListener("cancel", leave, once);
    field.addEventListener("keydown", (event) => event.key === "Enter" && give(), once);
    dialog.showModal();
    field.focus();
  });
  return asking;
}

/**
 * Fetches with the key, and asks for one as long as the server wants another. Paths are relative, so that a proxy may put
 * the server below a path of its own.
 *
 * @throws ApiError where the answer is an error
 */
export async function call(path, { body, signal } = {}) {
  for (;;) {
    const key = sessionStorage.getItem(KEPT);
    const headers = {};
    if (key !== null) {
      headers.authorization = `Bearer ${key}`;
    }
    if (body !== undefined) {
      headers["content-type"] = "application/json";
    }
    const response = await fetch(path, {
      method: body === undefined ? "GET" : "POST",
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
    });
    if (response.ok) {
      return response;
    }
    if (response.status !== 401) {
      throw new ApiError(response.status, await message(response));
    }
    await response.body?.cancel();
    if (key === sessionStorage.getItem(KEPT)) {
      await askForKey(key !== null); // unless another call has been given one meanwhile
    }
  }
}

async function message(response) {
  const text = await response.text();
  try {
    return JSON.parse(text).error.message;
  } catch {
    return `The server answered ${response.status}.`;
  }
}

/** The JSON values of a stream of server-sent events, up to [DONE]. */
export async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) {
      throw new ApiError(0, "The answer broke off.");
    }
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (!line.startsWith("data:")) {
        continue; // a comment that keeps the connection alive, or an empty line
      }
      const data = line.slice(5).trim();
      if (data === "[DONE]") {
        return;
      }
      const event = JSON.parse(data);
      if (event.error) {
        throw new ApiError(event.error.code ?? 0, event.error.message);
      }
      yield event;
    }
  }
}
