"use strict";
// Every box with figures names the script element that holds them as JSON; nothing is evaluated, nothing is fetched.
for (const box of document.querySelectorAll("[data-figure]")) {
  const figure = JSON.parse(document.getElementById(box.dataset.figure).textContent);
  if (box.clientWidth < 560) box.style.height = `${box.clientHeight + Number(box.dataset.taller)}px`;
  const options = { responsive: true, displayModeBar: false };
  Plotly.newPlot(box, figure.data, figure.layout, options).then(() => box.setAttribute("data-drawn", ""));
}
