"use strict";
// Hands the page's data to the plots, follows the choices, sorts and filters tables. Plots are Vega-Lite's.
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const { specs, config, sets, details, latency, shares, canvas } = read("report-data");
  const root = document.documentElement;
  root.classList.add("scripted");
  config.font = getComputedStyle(document.body).fontFamily; // text is measured on a canvas, which knows no "inherit"

  // Columns are shorter than rows; plots want rows.
  const rows = (columns) => {
    const names = Object.keys(columns);
    return (columns[names[0]] ?? []).map((_, i) => Object.fromEntries(names.map((n) => [n, columns[n][i]])));
  };
  const series = (pair) => (pair ? pair[0].map((t, i) => ({ t, v: pair[1][i] })) : []);
  const trialSets = (number) => {
    const d = details[number] ?? {};
    const limit = "limit" in d ? [{ v: d.limit, text: `limit ${d.limit}` }] : [];
    return { depth: series(d.depth), asleep: series(d.asleep), rate: series(d.rate), limit };
  };
  const ecdfSets = (a, b) => ({
    ecdf: [["A", a], ["B", b]].flatMap(([slot, cell]) => latency[cell].map((ms, i) => ({ slot, ms, share: shares[i] }))),
  });
  const shared = Object.fromEntries(Object.entries(sets).map(([name, columns]) => [name, rows(columns)]));
  const resolved = (spec) => JSON.parse(JSON.stringify(spec).replace(/var\((--[\w-]+)\)/g,
    (_, name) => getComputedStyle(root).getPropertyValue(name).trim()));

  // Draws into `box`; `data` comes on top of the shared sets. Resolves when the plot is in the page.
  const draw = async (box, data = {}) => {
    let spec = { ...specs[box.dataset.plot], datasets: { ...specs[box.dataset.plot].datasets, ...shared, ...data } };
    let look = config;
    if (canvas && "dots" in box.dataset) [spec, look] = [{ ...resolved({ ...spec, datasets: {} }), datasets: spec.datasets }, resolved(config)];
    box.replaceChildren();
    const result = await window.vegaEmbed(box, spec, {
      renderer: canvas && "dots" in box.dataset ? "canvas" : "svg",
      actions: false, ast: true, config: look, tooltip: { theme: "custom" },
      // An instrument that did not run leaves a set empty, which is no cause for a warning; errors are always shown.
      logLevel: Object.keys(data).length ? 1 : 2, // Vega's numbers for errors alone, and for warnings too
    });
    box.classList.remove("vega-embed"); // its class brings a width of its own
    return result;
  };

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

  const jobs = [];
  document.querySelectorAll("[data-plot]").forEach((box) => {
    if ("ofTrial" in box.dataset || box.dataset.plot === "ecdf") return;
    jobs.push(draw(box, "trial" in box.dataset ? trialSets(box.dataset.trial) : {}));
  });

  const cellA = document.getElementById("cell-a");
  if (cellA) {
    const cellB = document.getElementById("cell-b");
    const box = document.querySelector('[data-plot="ecdf"]');
    const redraw = () => draw(box, ecdfSets(cellA.value, cellB.value));
    cellA.addEventListener("change", redraw);
    cellB.addEventListener("change", redraw);
    jobs.push(redraw());
  }

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

  // Tables: a button in a heading sorts, the search field above filters.
  const order = new Intl.Collator("en", { numeric: true });
  const figure = (text) => Number.parseFloat(text.replace(/,/g, "").replace("\u2212", "-"));
  const compare = (a, b) => {
    const [x, y] = [figure(a), figure(b)];
    if (Number.isNaN(x) !== Number.isNaN(y)) return null; // "not known" stays at the end either way
    return Number.isNaN(x) ? order.compare(a, b) : x - y;
  };
  document.querySelectorAll("table[data-sorts]").forEach((table) => {
    const body = table.tBodies[0];
    table.querySelectorAll("th button").forEach((button) => button.addEventListener("click", () => {
      const heading = button.parentElement;
      const up = heading.getAttribute("aria-sort") !== "ascending";
      table.querySelectorAll("th[aria-sort]").forEach((th) => th.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", up ? "ascending" : "descending");
      const keyed = [...body.rows].map((row) => [row.cells[heading.cellIndex].textContent.trim(), row]);
      keyed.sort(([a], [b]) => compare(a, b) === null ? (Number.isNaN(figure(a)) ? 1 : -1) : (up ? 1 : -1) * compare(a, b));
      body.append(...keyed.map(([, row]) => row));
    }));
    const field = document.querySelector(`input[data-filters="${table.id}"]`);
    const count = document.getElementById(`${table.id}-count`);
    const texts = [...body.rows].map((row) => [row, row.textContent.toLowerCase()]);
    field?.addEventListener("input", () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      texts.forEach(([row, text]) => {
        row.hidden = !words.every((word) => text.includes(word));
        shown += row.hidden ? 0 : 1;
      });
      count.textContent = `${shown} of ${texts.length} shown`;
    });
  });

  const done = (state) => { root.dataset.plots = state; };
  Promise.all(jobs).then(() => done("drawn"), (error) => { done("failed"); throw error; });
  if (canvas) matchMedia("(prefers-color-scheme: dark)").addEventListener("change",
    () => document.querySelectorAll("[data-dots]").forEach((box) => draw(box)));
})();
