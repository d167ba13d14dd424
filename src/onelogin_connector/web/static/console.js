// What makes pages livelier. Everything works without this file.

// Parts that refresh themselves wait while somebody reads a menu, marks text or types in them, or looks elsewhere.
document.addEventListener("htmx:confirm", (event) => {
  const part = event.target;
  if (event.detail.triggeringEvent || !part.matches("[data-refresh]")) return;
  const marked = String(document.getSelection()) && part.contains(document.getSelection().anchorNode);
  if (document.hidden || marked || part.querySelector("details[open], input:focus, select:focus")) {
    event.preventDefault();
  }
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

// Filters apply as they are chosen; the button for it is needed only without script.
for (const form of document.querySelectorAll("form[data-at-once]")) {
  form.querySelector("button[data-apply]")?.setAttribute("hidden", "");
  form.addEventListener("change", () => form.requestSubmit());
}
