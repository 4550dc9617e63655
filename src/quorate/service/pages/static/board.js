// The dashboard renews its figures by themselves, while it is looked at; what is read or focused stays in place.
"use strict";
(() => {
  const EVERY_MS = 3000;
  const figures = document.getElementById("figures");
  let tag = "";
  let wait = EVERY_MS;

  const places = () => [...figures.querySelectorAll(".scroll")].map((each) => each.scrollLeft);
  const focused = () => [...figures.querySelectorAll("[tabindex], a, button")].indexOf(document.activeElement);

  const show = (html) => {
    const [at, on] = [places(), focused()];
    const fresh = new DOMParser().parseFromString(html, "text/html").body;
    figures.replaceChildren(...fresh.childNodes);
    figures.querySelectorAll(".scroll").forEach((each, n) => { each.scrollLeft = at[n] || 0; });
    if (on >= 0) [...figures.querySelectorAll("[tabindex], a, button")][on]?.focus({ preventScroll: true });
  };

  const look = async () => {
    if (!document.hidden) {
      try {
        const answer = await fetch(figures.dataset.from, { headers: tag ? { "If-None-Match": tag } : {} });
        if (answer.ok && !answer.redirected) {
          tag = answer.headers.get("ETag") || "";
          show(await answer.text());
        } else if (answer.redirected || answer.status === 401) {
          location.reload();
          return;
        }
        wait = answer.status < 400 ? EVERY_MS : Math.min(wait * 2, 60000);
      } catch {
        wait = Math.min(wait * 2, 60000);
      }
    }
    setTimeout(look, wait);
  };
  setTimeout(look, wait);
})();
