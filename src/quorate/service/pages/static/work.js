// The annotator's keyboard. The page works without this; with it, nothing reloads and one hand is enough.
"use strict";
(() => {
  const desk = document.getElementById("main");
  const card = document.getElementById("card");
  const said = document.getElementById("said");
  const network = document.getElementById("network");
  const help = document.getElementById("help");
  const here = `/campaigns/${desk.dataset.campaign}/work`;
  const KEPT = `quorate-kept-${desk.dataset.me}-${desk.dataset.campaign}`;
  const AUTO = "quorate-auto";
  const IDLE_MS = 120000; // after so long without a sign of the person the lease is no longer renewed
  const keep = { get: (key) => { try { return localStorage.getItem(key); } catch { return null; } },
    set: (key, value) => { try { if (value === null) localStorage.removeItem(key); else localStorage.setItem(key, value); } catch { /* nothing is kept in private windows */ } } };

  let form; // of the item in hand
  let active = 0; // the marked question
  let busy = false;
  let seen = Date.now(); // the last sign of the person
  let clock; // of the item in hand
  let shown = 0; // items so far

  // ---- time at work: what was spent on each question while the page was looked at -----------------------------------
  const newClock = () => {
    const spent = new Map();
    let since = performance.now();
    let task = 0;
    return {
      at(next) { this.stop(); task = next; this.go(); },
      stop() { if (since !== null) spent.set(task, (spent.get(task) || 0) + performance.now() - since); since = null; },
      go() { if (!document.hidden) since = performance.now(); },
      read(which) { this.stop(); this.go(); return (spent.get(which) || 0) / 1000; },
    };
  };
  document.addEventListener("visibilitychange", () => { if (clock) { if (document.hidden) clock.stop(); else clock.go(); } });

  // ---- the item in hand ---------------------------------------------------------------------------------------------
  const questions = () => (form ? [...form.querySelectorAll(".question")] : []);
  const answered = (question) => question.querySelector("input[type=radio]:checked") !== null;

  const mark = (at, quiet) => {
    const all = questions();
    if (!all.length) return;
    active = Math.max(0, Math.min(at, all.length - 1));
    all.forEach((each, n) => each.classList.toggle("active", n === active));
    clock.at(active);
    if (quiet) return;
    all[active].scrollIntoView({ block: "nearest" });
    if (all.length > 1) said.textContent = `Question ${active + 1} of ${all.length}: ${all[active].querySelector("legend").textContent}`;
  };

  const choose = (question, radio) => {
    radio.checked = true;
    radio.focus({ preventScroll: true });
    onAnswer(question);
  };

  const onAnswer = (question) => {
    const all = questions();
    const next = all.findIndex((each, n) => n > all.indexOf(question) && !answered(each));
    const open = next >= 0 ? next : all.findIndex((each) => !answered(each));
    if (open >= 0) mark(open);
    else if (keep.get(AUTO) === "yes") act("submit");
    else mark(all.indexOf(question), true);
  };

  const begin = () => {
    form = document.getElementById("answers");
    const idle = document.getElementById("idle");
    clock = newClock();
    active = 0;
    if (idle) { form = form || null; later(idle.dataset.state === "running" ? 4000 : 15000, () => reload("")); }
    if (!form) return;
    form.addEventListener("submit", (event) => { event.preventDefault(); act(event.submitter?.value || "submit"); });
    if (idle) return;
    form.dataset.since = performance.now();
    form.querySelectorAll("[data-find]").forEach(finder);
    form.querySelectorAll(".question").forEach((question, at) => {
      question.addEventListener("change", (event) => { if (event.target.type === "radio") onAnswer(question); });
      question.addEventListener("pointerdown", () => mark(at, true));
      question.addEventListener("focusin", () => { if (at !== active) mark(at, true); });
    });
    const auto = form.querySelector("[data-auto]");
    auto.hidden = false;
    auto.firstElementChild.checked = keep.get(AUTO) === "yes";
    auto.firstElementChild.addEventListener("change", (event) => setAuto(event.target.checked));
    const button = form.querySelector("[data-help]");
    button.hidden = false;
    button.addEventListener("click", () => help.showModal());
    form.querySelectorAll(".picture img").forEach((img) => img.addEventListener("error", () => {
      const words = document.createElement("p");
      words.className = "aside";
      words.textContent = "The picture could not be loaded.";
      img.replaceWith(words);
    }));
    mark(0, true);
  };

  const announce = () => {
    const all = questions();
    const notice = card.querySelector("[data-notice]");
    const words = notice ? `${notice.textContent} ` : "";
    said.textContent = all.length
      ? `${words}Item ${shown + 1}. ${card.querySelector(".item").innerText.slice(0, 400)}. ${all[0].querySelector("legend").textContent}`
      : `${words}${card.querySelector("#idle h2")?.textContent || ""}`;
  };

  const show = (html) => {
    const fresh = new DOMParser().parseFromString(html, "text/html").body;
    card.replaceChildren(...fresh.childNodes);
    clearTimeout(waiting);
    shown += 1;
    begin();
    announce();
    if (!matchMedia("(max-width: 700px)").matches || card.getBoundingClientRect().top < 0) scrollTo({ top: 0 });
  };

  const setAuto = (on) => {
    keep.set(AUTO, on ? "yes" : null);
    const box = form?.querySelector("[data-auto] input");
    if (box) box.checked = on;
    said.textContent = on ? "Answers are submitted by themselves." : "Answers wait for Enter.";
  };

  // ---- many answers: find one by its name ---------------------------------------------------------------------------
  const finder = (input) => {
    const question = input.closest(".question");
    const all = [...question.querySelectorAll(".choice")];
    const fits = () => all.filter((each) => !each.hidden);
    input.hidden = false;
    input.addEventListener("input", () => {
      const text = input.value.trim().toLowerCase();
      all.forEach((each) => { each.hidden = !each.querySelector(".word").textContent.toLowerCase().includes(text); });
    });
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== "Escape") return;
      event.preventDefault();
      event.stopPropagation();
      const first = fits()[0];
      const hit = event.key === "Enter" && input.value && first;
      input.value = "";
      all.forEach((each) => { each.hidden = false; });
      input.blur();
      if (hit) choose(question, first.querySelector("input"));
    });
  };

  // ---- what is sent -------------------------------------------------------------------------------------------------
  let waiting;
  const later = (ms, what) => { clearTimeout(waiting); waiting = setTimeout(what, ms); };

  const tell = (text, tone) => {
    network.hidden = !text;
    network.className = `toast ${tone || ""}`;
    network.textContent = text;
  };

  const act = (what) => {
    if (busy || !form) return;
    const all = questions();
    if (what === "submit") {
      const open = all.findIndex((each) => !answered(each));
      if (!all.length) return;
      if (open >= 0) {
        mark(open);
        all[open].classList.remove("missing");
        void all[open].offsetWidth; // the animation begins anew
        all[open].classList.add("missing");
        said.textContent = `Not answered yet: ${all[open].querySelector("legend").textContent}`;
        return;
      }
    }
    if (what === "undo" && !form.elements.trail.value) { said.textContent = "There is nothing to take back."; return; }
    if (what === "skip" && !all.length) return;
    all.forEach((each, at) => { each.querySelector("input[name^=seconds]").value = clock.read(at).toFixed(2); });
    const fields = [...new FormData(form).entries()].filter(([name]) => name !== "csrf");
    fields.push(["do", what]);
    if (what === "submit") keep.set(KEPT, JSON.stringify(fields)); // until it is acknowledged, even over a reload
    send(fields, 0);
  };

  const send = async (fields, tries) => {
    busy = true;
    card.setAttribute("aria-busy", "true");
    form?.classList.toggle("sending", true);
    const body = new URLSearchParams(fields);
    body.append("csrf", desk.dataset.csrf);
    let answer;
    try {
      answer = await fetch(here, { method: "POST", body, headers: { "X-Fragment": "1" }, signal: AbortSignal.timeout(20000) });
    } catch {
      return again(fields, tries, "No connection. Your answer is kept here and sent again");
    }
    if (answer.status === 429 || answer.status >= 500) return again(fields, tries, "The service is busy. Your answer is kept here and sent again");
    const html = await answer.text().catch(() => null);
    if (html === null) return again(fields, tries, "No connection. Your answer is kept here and sent again");
    done();
    if (answer.redirected || answer.status === 401) return signInAgain();
    if (answer.status === 403) return tell("This page has grown old, or you may not work here any more. Load it again; your answer is kept.", "bad");
    keep.set(KEPT, null);
    if (!answer.ok) return tell("This campaign is not open to you any more.", "bad");
    return show(html);
  };

  const done = () => {
    busy = false;
    card.removeAttribute("aria-busy");
    form?.classList.toggle("sending", false);
    tell("");
  };

  const again = (fields, tries, why) => {
    const wait = Math.min(2 ** tries, 30);
    tell(`${why} in ${wait} s, or as soon as there is one.`, "warn");
    let fired = false;
    const once = () => { if (!fired) { fired = true; clearTimeout(timer); removeEventListener("online", once); send(fields, tries + 1); } };
    const timer = setTimeout(once, wait * 1000);
    addEventListener("online", once);
  };

  const signInAgain = () => {
    tell("You were signed out. Your answer is kept here and is sent once you are back. ", "bad");
    const link = document.createElement("a");
    link.href = `/login?next=${encodeURIComponent(here)}`;
    link.textContent = "Sign in";
    network.append(link);
  };

  const reload = async (trail) => {
    if (busy || document.hidden) { later(4000, () => reload(trail)); return; }
    const held = document.getElementById("answers")?.elements.trail?.value || trail;
    try {
      const answer = await fetch(`${here}?trail=${encodeURIComponent(held)}`);
      if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (page.querySelector("#card .item")) { show(page.getElementById("card").innerHTML); return; }
    } catch { /* later again */ }
    later(4000, () => reload(trail));
  };

  // ---- the seat is kept while somebody is there ---------------------------------------------------------------------
  const watch = async () => {
    if (form?.dataset.lease && !busy) {
      const left = Number(form.dataset.leftS) - (performance.now() - Number(form.dataset.since)) / 1000;
      const there = Date.now() - seen < IDLE_MS && !document.hidden;
      if (left <= 0) ended();
      else if (there && left < Number(form.dataset.leaseS) / 2) await renew();
    }
    setTimeout(watch, 2000);
  };

  const renew = async () => {
    const mine = form;
    try {
      const answer = await fetch(`/api/v1/leases/${mine.dataset.lease}/renew`, { method: "POST", headers: { "X-CSRF-Token": desk.dataset.csrf } });
      if (answer.ok) {
        mine.dataset.since = performance.now();
        mine.dataset.leftS = mine.dataset.leaseS;
      } else if (answer.status === 404 || answer.status === 409) {
        mine.dataset.leftS = 0;
      }
    } catch { /* the next look tries again */ }
  };

  const ended = () => {
    if (form.dataset.ended) return;
    form.dataset.ended = "yes";
    const words = document.createElement("p");
    words.className = "notice warn";
    words.setAttribute("role", "alert");
    words.textContent = form.dataset.late === "keep"
      ? "Your time at this item has ended, and it may have gone to somebody else. You can still answer: it is kept, marked as late. "
      : "Your time at this item has ended, and it may have gone to somebody else. An answer would not be kept. ";
    const link = document.createElement("a");
    link.href = `${here}?trail=${encodeURIComponent(form.elements.trail.value)}`;
    link.textContent = "Take another item";
    words.append(link);
    form.prepend(words);
  };

  // ---- the keyboard -------------------------------------------------------------------------------------------------
  const guidelines = document.getElementById("guidelines");
  const wide = matchMedia("(min-width: 1000px)");
  const fold = () => { if (guidelines) guidelines.open = wide.matches && keep.get("quorate-guidelines") !== "closed"; };
  const toggleGuidelines = () => {
    if (!guidelines) return;
    guidelines.open = !guidelines.open;
    if (wide.matches) keep.set("quorate-guidelines", guidelines.open ? null : "closed");
    if (guidelines.open) guidelines.scrollIntoView({ block: "nearest" });
  };

  const keys = {
    ArrowDown: () => mark(active + 1), j: () => mark(active + 1),
    ArrowUp: () => mark(active - 1), k: () => mark(active - 1),
    Enter: () => act("submit"), u: () => act("undo"), s: () => act("skip"), g: toggleGuidelines,
    a: () => setAuto(keep.get(AUTO) !== "yes"), "?": () => help.showModal(),
    "/": () => questions()[active]?.querySelector("[data-find]")?.focus(),
  };

  document.addEventListener("keydown", (event) => {
    seen = Date.now();
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || help.open) return;
    const on = event.target;
    if (on.matches("textarea, select, input:not([type=radio]):not([type=checkbox]):not([type=hidden])")) return;
    if (on.matches("button, a, summary") && (event.key === "Enter" || event.key === " ")) return;
    if (/^[0-9]$/.test(event.key)) {
      const question = questions()[active];
      const sign = question && [...question.querySelectorAll(".choice")].find((each) => each.querySelector(".sign").textContent === event.key);
      if (!sign || busy) return;
      event.preventDefault();
      choose(question, sign.querySelector("input"));
      return;
    }
    const what = keys[event.key] || keys[event.key.toLowerCase()];
    if (!what || event.repeat && !event.key.startsWith("Arrow")) return;
    event.preventDefault();
    what();
  });
  ["pointerdown", "pointermove", "scroll"].forEach((kind) => addEventListener(kind, () => { seen = Date.now(); }, { passive: true }));

  fold();
  begin();
  const kept = keep.get(KEPT);
  if (kept) {
    tell("Sending the answer that was kept here…");
    send(JSON.parse(kept), 0);
  }
  setTimeout(watch, 2000);
})();
