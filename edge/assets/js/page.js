// What every part of the page is made with. Text reaches it by textContent only, and links only to https://, so
// nothing stored can act.

export const CLASSES = [
  "Build Failure", "Configuration Error", "Dependency Error", "Deployment Failure", "Network Error",
  "Permission Error", "Resource Exhaustion", "Security Scan Failure", "Test Failure", "Timeout",
];

export const at = (id) => document.getElementById(id);

export function element(tag, text, className) {
  const made = document.createElement(tag);
  made.textContent = text ?? "";
  if (className) made.className = className;
  return made;
}

export const percent = (share) => `${Math.round(share * 100)} %`;
export const shade = (confidence) => (confidence > 0.7 ? "good" : confidence > 0.4 ? "fair" : "poor");

/** Fills a <time>. */
export function tell(time, timestamp) {
  time.dateTime = timestamp;
  time.textContent = new Date(timestamp).toLocaleString();
}

/** A link to https://, or words in its place. */
export function link(place, url, otherwise) {
  if (!url?.startsWith("https://")) {
    place.textContent = otherwise;
    return;
  }
  const made = element("a", url);
  made.href = url;
  made.rel = "noopener noreferrer";
  place.replaceChildren(made);
}

/** Shows a list again, with what was open left open and what was being used left alone. */
export function replaceKeepingOpen(list, items) {
  if (list.contains(document.activeElement) && document.activeElement.matches("select, input, textarea")) return;
  const open = new Set([...list.querySelectorAll("details")].filter((details) => details.open).map((details) => details.dataset.id));
  const focused = list.contains(document.activeElement) && document.activeElement.closest("details")?.dataset.id;
  list.replaceChildren(...items);
  for (const details of list.querySelectorAll("details")) {
    details.open = open.has(details.dataset.id);
    if (details.dataset.id === focused) details.querySelector("summary").focus();
  }
}

/** A button that says what became of what it asked for. */
export function action(label, said, act) {
  const button = element("button", label);
  button.type = "button";
  button.addEventListener("click", async () => {
    button.disabled = true;
    said.textContent = "…";
    try {
      said.textContent = await act();
    } catch (error) {
      said.textContent = error.message;
    } finally {
      button.disabled = false;
    }
  });
  return button;
}

/** Asks a person before something is changed; resolves to whether they agree. */
export function confirmed(question, consequence) {
  const dialog = at("confirm");
  at("confirm-title").textContent = question;
  at("confirm-text").textContent = consequence;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}
