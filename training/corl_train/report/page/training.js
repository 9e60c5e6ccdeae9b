"use strict";
// A chart says its figures: to a pointer that moves over it, and to the arrow keys.
(() => {
  const tip = document.getElementById("tip");
  const readings = JSON.parse(document.getElementById("readings").textContent);
  let shown = null;

  function line(text) {
    const element = document.createElement("div");
    element.append(...text.split("\t").map((cell) => {
      const part = document.createElement("span");
      part.textContent = cell;
      return part;
    }));
    return element;
  }

  function hide() {
    if (!shown) return;
    shown.plot.querySelector(".cursor").setAttribute("visibility", "hidden");
    shown = null;
    tip.hidden = true;
  }

  function show(plot, place) {
    if (shown && shown.plot !== plot) hide();
    const [x, title, lines] = readings[plot.dataset.readings][place];
    const cursor = plot.querySelector(".cursor");
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
    cursor.setAttribute("visibility", "visible");
    const heading = document.createElement("strong");
    heading.textContent = title;
    tip.replaceChildren(heading, ...lines.map(line));
    tip.hidden = false;
    shown = { plot, place };
    put();
  }

  function put() {
    if (!shown) return;
    const mark = shown.plot.querySelector(".cursor").getBoundingClientRect();
    const box = tip.getBoundingClientRect();
    const left = mark.left + 12 + box.width > innerWidth - 8 ? mark.left - box.width - 12 : mark.left + 12;
    tip.style.left = `${Math.max(8, left)}px`;
    tip.style.top = `${Math.max(56, Math.min(mark.top, innerHeight - box.height - 8))}px`;
  }

  function nearest(plot, x) {
    const at = (x - plot.getBoundingClientRect().left) * (plot.viewBox.baseVal.width / plot.clientWidth);
    const places = readings[plot.dataset.readings];
    let best = 0;
    for (let place = 1; place < places.length; place += 1) {
      if (Math.abs(places[place][0] - at) < Math.abs(places[best][0] - at)) best = place;
    }
    return best;
  }

  for (const plot of document.querySelectorAll(".plot")) {
    const last = readings[plot.dataset.readings].length - 1;
    plot.addEventListener("pointermove", (event) => show(plot, nearest(plot, event.clientX)));
    plot.addEventListener("pointerdown", (event) => show(plot, nearest(plot, event.clientX)));
    plot.addEventListener("pointerleave", (event) => {
      if (event.pointerType !== "touch") hide();
    });
    plot.addEventListener("blur", hide);
    plot.addEventListener("keydown", (event) => {
      const now = shown && shown.plot === plot ? shown.place : null;
      const next = {
        ArrowLeft: now === null ? last : Math.max(0, now - 1),
        ArrowRight: now === null ? 0 : Math.min(last, now + 1),
        Home: 0,
        End: last,
      }[event.key];
      if (next === undefined) return;
      event.preventDefault();
      show(plot, next);
    });
  }
  addEventListener("scroll", put, { passive: true });
  addEventListener("resize", put);
  addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
})();
