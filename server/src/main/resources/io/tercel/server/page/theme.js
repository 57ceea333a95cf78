// Dark or light: what the system prefers, until the button is pressed.

const KEPT = "tercel-theme";
const root = document.documentElement;
const dark = matchMedia("(prefers-color-scheme: dark)");

function current() {
  return root.dataset.theme ?? (dark.matches ? "dark" : "light");
}

/** Applies the kept choice and makes the button change it. */
export function themed(button) {
  const kept = localStorage.getItem(KEPT);
  if (kept === "dark" || kept === "light") {
    root.dataset.theme = kept;
  }
  const label = () => {
    button.textContent = current() === "dark" ? "Light" : "Dark";
    button.setAttribute("aria-label", `Use ${button.textContent.toLowerCase()} colours`);
  };
  button.addEventListener("click", () => {
    root.dataset.theme = current() === "dark" ? "light" : "dark";
    localStorage.setItem(KEPT, root.dataset.theme);
    label();
  });
  dark.addEventListener("change", label);
  label();
}
