// Keeps a page alive: asks for it again every five seconds, and puts the new parts in their places.
// Without this script every page and every act works, and is as old as when it was loaded.
"use strict";
(() => {
  const EVERY = 5000;
  const pace = document.getElementById("pace");
  const clock = document.getElementById("as-of");
  const pause = document.getElementById("pause-updates");
  let tag = "";
  let paused = false;
  let asking = false;

  const open = () => document.querySelector("details.act[open]");
  const selected = () => document.querySelectorAll("#rows td input[type=checkbox]:checked").length;
  const rests = () => document.hidden || paused || asking || selected() > 0;

  const tell = (text) => { if (pace.textContent !== text) pace.textContent = text; };

  function place(fresh) {
    const focused = document.activeElement;
    for (const old of document.querySelectorAll("[data-live]")) {
      const now = fresh.getElementById(old.id);
      if (!now || old.innerHTML === now.innerHTML) continue;
      if (open() && old.contains(open())) continue;
      if (old.contains(focused) && focused.matches("input, select, textarea")) continue;
      const path = old.contains(focused) ? step(old, focused) : null;
      const shown = [...old.querySelectorAll("details[id][open]")].map((each) => each.id);
      const scrolled = [...old.querySelectorAll(".scroll")].map((each) => each.scrollLeft);
      old.innerHTML = now.innerHTML;
      for (const id of shown) document.getElementById(id)?.setAttribute("open", "");
      old.querySelectorAll(".scroll").forEach((each, n) => { each.scrollLeft = scrolled[n] ?? 0; });
      if (path) old.querySelectorAll(path.name)[path.number]?.focus({ preventScroll: true });
    }
  }

  // Where the keyboard is within a part: the element of its kind, by its number.
  function step(part, element) {
    const name = element.tagName.toLowerCase();
    return { name, number: [...part.querySelectorAll(name)].indexOf(element) };
  }

  async function ask() {
    if (rests()) return;
    asking = true;
    try {
      const headers = tag ? { "If-None-Match": tag } : {};
      const answer = await fetch(location.href, { headers, cache: "no-store" });
      if (answer.status !== 304 && !answer.ok) throw new Error(String(answer.status));
      tag = answer.headers.get("ETag") ?? "";
      if (answer.status !== 304) {
        place(new DOMParser().parseFromString(await answer.text(), "text/html"));
      }
      clock.textContent = answer.headers.get("Duly-As-Of") ?? clock.textContent;
      tell(", every 5 s");
    } catch {
      tell(", no answer since");
    } finally {
      asking = false;
    }
  }

  function show() {
    pause.textContent = paused ? "Go on with updates" : "Pause updates";
    tell(paused ? ", updates are paused" : selected() ? ", waits for your selection" : ", every 5 s");
  }

  pause.hidden = false;
  pause.addEventListener("click", () => { paused = !paused; show(); if (!paused) ask(); });
  document.addEventListener("change", (event) => {
    if (event.target.matches("#rows td input[type=checkbox]")) show();
    if (event.target.id === "zone") event.target.form.requestSubmit();
  });
  document.addEventListener("visibilitychange", () => ask());
  // One act is open at a time; Escape closes it, and so does a click beside it.
  document.addEventListener("click", (event) => {
    const shown = open();
    if (shown && !shown.contains(event.target)) shown.open = false;
  });
  document.addEventListener("toggle", (event) => {
    if (!event.target.matches?.("details.act") || !event.target.open) return;
    for (const each of document.querySelectorAll("details.act[open]")) {
      if (each !== event.target) each.open = false;
    }
    event.target.querySelector("form input:not([type=hidden]), form button")?.focus();
  }, true);
  document.addEventListener("keydown", (event) => {
    const shown = open();
    if (event.key === "Escape" && shown) {
      shown.open = false;
      shown.querySelector("summary").focus();
    }
  });

  // The time zone of this browser is among those to choose from, and is the first choice.
  const zones = document.getElementById("zone");
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (own && ![...zones.options].some((each) => each.value === own)) {
    zones.add(new Option(`${own} (this browser)`, own));
  }
  zones.form.querySelector("button").hidden = true;

  if (location.search.includes("done=")) {
    const clean = new URL(location.href);
    clean.searchParams.delete("done");
    clean.searchParams.delete("n");
    history.replaceState(null, "", clean);
  }
  show();
  setInterval(ask, EVERY);
})();
