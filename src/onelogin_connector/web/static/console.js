// What makes pages livelier. Everything works without this file.

// Parts that refresh themselves wait while somebody reads a menu, marks text or types in them, or looks elsewhere.
// What was asked for before that may be answered only then, and is left out.
const inUse = (part) => {
  const marked = String(document.getSelection()) && part.contains(document.getSelection().anchorNode);
  return marked || part.querySelector("details[open], input:focus, select:focus");
};
document.addEventListener("htmx:confirm", (event) => {
  const part = event.target;
  if (event.detail.triggeringEvent || !part.matches("[data-refresh]")) return;
  if (document.hidden || inUse(part)) event.preventDefault();
});
document.addEventListener("htmx:beforeSwap", (event) => {
  const { elt, triggeringEvent } = event.detail.requestConfig;
  if (!triggeringEvent && elt.matches("[data-refresh]") && inUse(elt)) event.detail.shouldSwap = false;
});

// Buttons that copy stand there only where copying works.
const arm = (root) => {
  if (!navigator.clipboard) return;
  for (const button of root.querySelectorAll("[data-copy][hidden]")) button.hidden = false;
};
arm(document);
document.addEventListener("htmx:load", (event) => arm(event.target));

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  const word = button.querySelector("span");
  const before = word.textContent;
  word.textContent = "Copied";
  setTimeout(() => { word.textContent = before; }, 1500);
});

// One menu at a time; Escape closes it, and gives the focus back.
document.addEventListener("toggle", (event) => {
  if (!event.target.matches?.("details.menu, details.sure") || !event.target.open) return;
  for (const other of document.querySelectorAll("details.menu[open], details.sure[open]")) {
    if (other !== event.target && !other.contains(event.target)) other.open = false;
  }
}, true);
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select");
  if (event.key === "Escape") {
    const open = event.target.closest("details.menu[open], details.sure[open]");
    if (open) { open.open = false; open.querySelector("summary").focus(); }
  } else if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    const search = document.querySelector("input[type=search]");
    if (search) { event.preventDefault(); search.focus(); }
  }
});
document.addEventListener("click", (event) => {
  for (const open of document.querySelectorAll("details.menu[open]")) {
    if (!open.contains(event.target)) open.open = false;
  }
});

// What could not be fetched is told: beside the button that somebody pressed, else above what refreshes itself.
const tell = (event, text) => {
  const { target, requestConfig } = event.detail;
  const place = requestConfig.triggeringEvent ? target : document.querySelector("#main");
  const told = document.createElement("p");
  told.className = "flash error told";
  told.setAttribute("role", "alert");
  told.textContent = text;
  place.querySelector(":scope > .told")?.remove();
  place.prepend(told);
};
document.addEventListener("htmx:responseError", (event) => {
  const status = event.detail.xhr.status;
  const why = { 401: "You are no longer signed in", 403: "This is not permitted any more", 404: "This is not there any more" };
  tell(event, `${why[status] ?? `The server could not answer (${status})`}. Load the page again.`);
});
document.addEventListener("htmx:sendError", (event) => tell(event, "The server cannot be reached. This page shows what was before."));
document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.successful) for (const told of document.querySelectorAll(".told")) told.remove();
});

// Filters apply as they are chosen; the button for it is needed only without script.
for (const form of document.querySelectorAll("form[data-at-once]")) {
  form.querySelector("button[data-apply]")?.setAttribute("hidden", "");
  form.addEventListener("change", () => form.requestSubmit());
}
