// The live tail: rows that the server has made are put on top of the list, every two seconds.
// It goes on from a cursor, so a pause or a lost connection leaves no event out.

const MOST_ROWS = 500;
const EVERY_MS = 2000;
const LONGEST_WAIT_MS = 30000;

const button = document.getElementById("live");
const list = document.getElementById("list");
const rows = document.getElementById("rows");
const said = document.getElementById("arriving");

if (button && rows && !new URLSearchParams(location.search).has("before")) {
  const word = button.querySelector("span");
  let cursor = button.dataset.cursor;
  let timer = 0;
  let failures = 0;
  let seen = 0;
  let turn = 0; // of Live and Pause: what was asked for in one before is asked for again

  const running = () => button.getAttribute("aria-pressed") === "true";

  const say = (text) => {
    said.textContent = text;
    said.hidden = !text;
  };

  const later = () => {
    clearTimeout(timer);
    if (running() && !document.hidden) timer = setTimeout(look, Math.min(EVERY_MS * 2 ** failures, LONGEST_WAIT_MS));
  };

  const put = (came) => {
    const fresh = [...came.rows].filter((row) => !document.getElementById(row.id));
    for (const row of fresh) row.classList.add("fresh");
    rows.prepend(...fresh);
    if (fresh.length) {
      list.hidden = false;
      document.getElementById("nothing")?.remove();
    }
    while (rows.rows.length > MOST_ROWS) rows.rows[rows.rows.length - 1].remove();
    return fresh.length;
  };

  const look = async () => {
    const own = turn;
    try {
      const address = new URL(button.dataset.from, location.href);
      address.searchParams.set("after", cursor);
      const answer = await fetch(address, { headers: { accept: "text/html" }, redirect: "manual" });
      const text = await answer.text();
      if (own !== turn) return;
      if (answer.type === "opaqueredirect" || answer.status === 401) {
        stop();
        say("You are no longer signed in. Load the page again.");
        return;
      }
      if (!answer.ok) throw new Error(String(answer.status));
      const made = document.createElement("template");
      made.innerHTML = text;
      const part = made.content.querySelector("tbody[data-cursor]");
      cursor = part.dataset.cursor;
      const came = put(part);
      const more = part.dataset.more === "true" ? " More arrived than fit here: refresh to see all." : "";
      if (came || more || failures || !said.textContent) say(`Live. ${seen + came} new.${more}`);
      failures = 0;
      seen += came;
    } catch {
      if (own !== turn) return;
      failures += 1;
      say("The connector does not answer; trying again. Nothing will be left out.");
    }
    later();
  };

  const stop = () => {
    clearTimeout(timer);
    turn += 1;
    button.setAttribute("aria-pressed", "false");
    word.textContent = seen ? "Resume" : "Live";
  };

  button.hidden = false;
  button.addEventListener("click", () => {
    if (running()) {
      stop();
      say(`Paused. ${seen} new so far.`);
    } else {
      button.setAttribute("aria-pressed", "true");
      word.textContent = "Pause";
      look();
    }
  });
  document.addEventListener("visibilitychange", later);
}
