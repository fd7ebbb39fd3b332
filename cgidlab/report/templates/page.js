"use strict";
// Hands the page's data to the plots, follows the choices, sorts and filters tables. Plots are Vega-Lite's.
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const { specs, config, sets, axes, factor, details, latency, shares, beyond, heatDecade, words, canvas } = read("report-data");
  const root = document.documentElement;
  root.classList.add("scripted");
  config.font = getComputedStyle(document.body).fontFamily; // text is measured on a canvas, which knows no "inherit"

  // Columns are shorter than rows; plots want rows.
  const rows = (columns) => {
    const names = Object.keys(columns);
    return (columns[names[0]] ?? []).map((_, i) => Object.fromEntries(names.map((n) => [n, columns[n][i]])));
  };
  const trials = rows(sets.trials);
  const cells = rows(sets.cells);
  const placed = Object.fromEntries(Object.entries(axes).map(([name, columns]) => [name, rows(columns)]));
  const shared = Object.fromEntries(Object.entries(sets)
    .filter(([name]) => name !== "trials" && name !== "cells").map(([name, columns]) => [name, rows(columns)]));
  const on = (axis) => ({
    dots: trials.map((t) => ({ ...t, ...placed[axis][t.cell] })),
    medians: cells.map((c, i) => ({ ...c, ...placed[axis][i] })),
  });
  const run = () => ({
    run: trials.filter((t) => t.share !== null && t.minutes !== null)
      .map((t) => ({ ...t, at: placed[factor][t.cell].at, cell: cells[t.cell].title })),
  });
  const percentiles = (place) => ({
    percentiles: Object.entries(latency).filter(([cell]) => placed[factor][cell].at === place).flatMap(([cell, values]) =>
      values.map((ms, i) => ({ level: placed[factor][cell].level, n: beyond[i], share: shares[i], ms }))),
  });
  const series = (pair) => (pair ? pair[0].map((t, i) => ({ t, v: pair[1][i] })) : []);
  const heat = (map) => {
    if (!map) return [];
    const row = (i) => 10 ** ((map.low + i) / heatDecade);
    return map.counts.split(",").flatMap((text, at) => {
      const [column, i] = [Math.floor(at / map.rows), at % map.rows];
      const [t, t2] = [column, column + 1].map((c) => (c * map.s) / map.n);
      return text ? [{ t, t2, low: row(i), high: row(i + 1), n: Number(text) }] : [];
    });
  };
  const trialSets = (number) => {
    const d = details[number] ?? {};
    const limit = "limit" in d ? [{ v: d.limit, text: `${words.limit} ${d.limit}` }] : [];
    return { depth: series(d.depth), asleep: series(d.asleep), heat: heat(d.heat), limit };
  };
  const resolved = (spec) => JSON.parse(JSON.stringify(spec).replace(/var\((--[\w-]+)\)/g,
    (_, name) => getComputedStyle(root).getPropertyValue(name).trim()));

  // Draws into `box`; `data` comes on top of the shared sets. Resolves when the plot is in the page.
  const draw = async (box, data = {}) => {
    const name = "axis" in box.dataset ? `${box.dataset.plot}@${box.dataset.axis}` : box.dataset.plot;
    let spec = { ...specs[name], datasets: { ...specs[name].datasets, ...shared, ...data } };
    let look = config;
    const painted = canvas && "dots" in box.dataset;
    if (painted) [spec, look] = [{ ...resolved({ ...spec, datasets: {} }), datasets: spec.datasets }, resolved(config)];
    box.replaceChildren();
    const result = await window.vegaEmbed(box, spec, {
      renderer: painted ? "canvas" : "svg",
      actions: false, ast: true, config: look, tooltip: { theme: "custom" },
      // An instrument that did not run leaves a set empty, which is no cause for a warning; errors are always shown.
      logLevel: Object.keys(data).length ? 1 : 2, // Vega's numbers for errors alone, and for warnings too
    });
    box.classList.remove("vega-embed"); // its class brings a width of its own
    return result;
  };
  const dataOf = (box) => {
    if ("axis" in box.dataset) return on(box.dataset.axis);
    if ("place" in box.dataset) return percentiles(box.dataset.place);
    if ("trial" in box.dataset) return trialSets(box.dataset.trial);
    return box.dataset.plot === "run" ? run() : {};
  };
  const redraw = (box) => draw(box, dataOf(box));

  const drawTrial = (number) => {
    const d = details[number] ?? {};
    const data = trialSets(number);
    document.querySelectorAll("[data-raw]").forEach((link) => { link.href = `${d.dir}/${link.dataset.raw}`; });
    return Promise.all([...document.querySelectorAll("[data-of-trial]")].map((box) => {
      const missing = !(box.dataset.ofTrial in d);
      box.hidden = missing;
      box.nextElementSibling.hidden = !missing;
      return missing ? null : draw(box, data);
    }));
  };

  const jobs = [...document.querySelectorAll("[data-plot]:not([data-of-trial])")].map(redraw);

  // A choice by name ("axis", "place") is an attribute of the plots that follow it.
  ["axis", "place"].forEach((name) => document.querySelectorAll(`input[name="${name}"]`).forEach((input) => {
    input.addEventListener("change", () => document.querySelectorAll(`[data-${name}]`).forEach((box) => {
      box.dataset[name] = input.value;
      redraw(box);
    }));
  }));

  const trial = document.getElementById("trial");
  if (trial) {
    trial.addEventListener("change", () => drawTrial(trial.value));
    jobs.push(drawTrial(trial.value));
    document.querySelectorAll("[data-show-trial]").forEach((button) => button.addEventListener("click", () => {
      trial.value = button.dataset.showTrial;
      drawTrial(trial.value);
      trial.focus();
    }));
  }

  // Tables: a button in a heading sorts, the search field above filters, a shadow says that there is more.
  const order = new Intl.Collator("en", { numeric: true });
  const text = (cell) => (cell.firstChild?.textContent ?? "").trim(); // of a figure without its spread
  const figure = (said) => Number.parseFloat(said.replace(/,/g, "").replace("\u2212", "-"));
  const compare = (a, b) => {
    const [x, y] = [figure(a), figure(b)];
    if (Number.isNaN(x) !== Number.isNaN(y)) return null; // "not known" stays at the end either way
    return Number.isNaN(x) ? order.compare(a, b) : x - y;
  };
  // A word is looked for anywhere in a row; `clients=200,400` in the column of that name, as the whole of a cell.
  const wanted = (word, names) => {
    const [name, value] = word.split("=", 2);
    const column = value === undefined ? -1 : names.indexOf(name);
    if (column < 0) return (row, said) => said.includes(word);
    const values = value.split(",");
    return (row) => values.includes(text(row.cells[column]).toLowerCase());
  };
  document.querySelectorAll("table[data-sorts]").forEach((table) => {
    const body = table.tBodies[0];
    table.querySelectorAll("th button").forEach((button) => button.addEventListener("click", () => {
      const heading = button.parentElement;
      const up = heading.getAttribute("aria-sort") !== "ascending";
      table.querySelectorAll("th[aria-sort]").forEach((th) => th.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", up ? "ascending" : "descending");
      const keyed = [...body.rows].map((row) => [text(row.cells[heading.cellIndex]), row]);
      keyed.sort(([a], [b]) => compare(a, b) === null ? (Number.isNaN(figure(a)) ? 1 : -1) : (up ? 1 : -1) * compare(a, b));
      body.append(...keyed.map(([, row]) => row));
    }));
    const field = document.querySelector(`input[data-filters="${table.id}"]`);
    const count = document.getElementById(`${table.id}-count`);
    const names = [...table.tHead.rows[0].cells].map((th) => th.dataset.name ?? "");
    const texts = field ? [...body.rows].map((row) => [row, row.textContent.toLowerCase()]) : [];
    field?.addEventListener("input", () => {
      const tests = field.value.toLowerCase().split(/\s+/).filter(Boolean).map((word) => wanted(word, names));
      let shown = 0;
      texts.forEach(([row, said]) => {
        row.hidden = !tests.every((test) => test(row, said));
        shown += row.hidden ? 0 : 1;
      });
      count.textContent = words.shown.replace("{n}", shown).replace("{all}", texts.length);
    });
  });
  const boxes = [...document.querySelectorAll(".scroll")];
  const hint = (box) => {
    box.classList.toggle("more-left", box.scrollLeft > 1);
    box.classList.toggle("more-right", box.scrollLeft + box.clientWidth < box.scrollWidth - 1);
  };
  boxes.forEach((box) => { box.addEventListener("scroll", () => hint(box), { passive: true }); hint(box); });
  addEventListener("resize", () => boxes.forEach(hint));
  document.querySelectorAll("details").forEach((one) => one.addEventListener("toggle", () => boxes.forEach(hint)));

  const done = (state) => { root.dataset.plots = state; };
  Promise.all(jobs).then(() => done("drawn"), (error) => { done("failed"); throw error; });
  if (canvas) matchMedia("(prefers-color-scheme: dark)").addEventListener("change",
    () => document.querySelectorAll("[data-dots]").forEach(redraw));
})();
