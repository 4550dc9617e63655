// Set-up: a file is looked at as soon as it is there, and the form filled in with what it seems to hold.
"use strict";
(() => {
  const form = document.getElementById("setup");
  const drop = document.getElementById("drop");
  const file = drop.querySelector("input");
  const guess = document.getElementById("guess");
  const questions = document.getElementById("questions");
  const name = form.querySelector("[data-name]");
  const label = drop.querySelector("[data-file-name]");
  const parse = (html) => new DOMParser().parseFromString(html, "text/html").body;

  const number = () => {
    const all = [...questions.querySelectorAll(".ask")];
    all.forEach((each, at) => {
      each.querySelectorAll("[data-at]").forEach((box) => { box.value = at; });
      const less = each.querySelector("[data-less]");
      less.hidden = all.length < 2;
    });
  };
  const add = (focus) => {
    questions.append(document.getElementById("question").content.cloneNode(true));
    number();
    if (focus) questions.lastElementChild.querySelector("input").focus();
  };
  const untouched = () => [...questions.querySelectorAll("[name=task], [name=classes]")].every((each) => !each.value || each.dataset.guessed);

  const look = async () => {
    if (!file.files.length) return;
    const chosen = file.files[0];
    label.textContent = `${chosen.name}, ${(chosen.size / 1024).toLocaleString("en", { maximumFractionDigits: chosen.size < 10240 ? 1 : 0 })} KB`;
    drop.classList.add("has-file");
    document.getElementById("problem")?.remove();
    guess.textContent = "Looking…";
    const sent = new FormData();
    sent.append("csrf", form.elements.csrf.value);
    sent.append("file", chosen);
    try {
      const answer = await fetch("/campaigns/new/look", { method: "POST", body: sent });
      const body = parse(await answer.text());
      guess.replaceChildren(...(answer.status < 400 || answer.status === 422 ? body.childNodes : [document.createTextNode("The file could not be looked at; load the page again.")]));
    } catch {
      guess.textContent = "The service does not answer. Try again in a moment.";
      return;
    }
    const found = guess.querySelector("template[data-questions]");
    if (!found) return;
    if (name && !name.value) name.placeholder = found.dataset.name;
    if (found.content.childElementCount && untouched()) {
      questions.replaceChildren(found.content.cloneNode(true));
      questions.querySelectorAll("[name=task], [name=classes]").forEach((each) => { each.dataset.guessed = "yes"; });
      number();
    }
  };

  file.addEventListener("change", look);
  questions.addEventListener("input", (event) => { delete event.target.dataset.guessed; });
  questions.addEventListener("click", (event) => {
    if (!event.target.closest("[data-less]")) return;
    event.target.closest(".ask").remove();
    number();
  });
  const more = form.querySelector("[data-more]");
  more.hidden = false;
  more.addEventListener("click", () => add(true));
  ["dragenter", "dragover"].forEach((kind) => drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); }));
  ["dragleave", "drop"].forEach((kind) => drop.addEventListener(kind, () => drop.classList.remove("over")));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    if (!event.dataTransfer.files.length) return;
    file.files = event.dataTransfer.files;
    look();
  });
  form.addEventListener("submit", () => {
    const go = form.querySelector("[data-go]");
    setTimeout(() => { go.disabled = true; go.textContent = "Reading the file…"; });
  });
  addEventListener("pageshow", () => {
    const go = form.querySelector("[data-go]");
    go.disabled = false;
    go.textContent = "Start labeling";
  });
  number();
  if (file.files.length) look();
})();
