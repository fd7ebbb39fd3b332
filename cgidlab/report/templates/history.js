"use strict";
// Draws the plots of the page of all runs. They are Vega-Lite's, with their data in them.
(() => {
  const { specs, config } = JSON.parse(document.getElementById("report-data").textContent);
  document.documentElement.classList.add("scripted");
  config.font = getComputedStyle(document.body).fontFamily; // text is measured on a canvas, which knows no "inherit"
  const draw = async (box) => {
    await window.vegaEmbed(box, specs[box.dataset.plot], {
      renderer: "svg", actions: false, ast: true, config, tooltip: { theme: "custom" },
    });
    box.classList.remove("vega-embed"); // its class brings a width of its own
  };
  Promise.all([...document.querySelectorAll("[data-plot]")].map(draw))
    .then(() => { document.documentElement.dataset.drawn = "yes"; });
})();
