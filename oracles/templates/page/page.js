"use strict";
// The page reads without any of this. What it adds: filters that live in the address, sorting, copying, keys.
document.documentElement.classList.add("scripted");
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const one = (selector, root = document) => root.querySelector(selector);
const filters = one("#filters"), findings = all(".finding"), matrices = all(".matrix");
const rows = matrices.flatMap(matrix => all("tbody", matrix).map(body => ({
  matrix, body, name: one("summary", body).textContent, cells: all("tr:first-child td", body), details: one("details", body),
})));
const parties = all("option", filters.party).slice(1).map(option => option.text);

// The address: #q=hypot&party=torch&label=wrong&view=float32-1&open=hypot

function wanted() {
  const hash = location.hash.slice(1);
  return !hash || hash.includes("=") ? new URLSearchParams(hash) : null;  // else it is a place on the page
}

function state() {
  const found = new URLSearchParams();
  for (const name of ["q", "party", "label"]) if (filters[name].value) found.set(name, filters[name].value);
  const view = one("input[name=view]:checked"), first = one("input[name=view]");
  if (view && view !== first) found.set("view", view.value);
  const open = [...new Set(rows.filter(row => row.details.open && shows(row)).map(row => row.name))];
  if (open.length) found.set("open", open.join(" "));
  return found.toString();
}

function shows(row) {
  const view = one("input[name=view]:checked");
  return view && row.matrix.id === "matrix-" + view.value;
}

function remember(step) {
  const now = state();
  if (now === (wanted() ?? "").toString()) return;
  history[step ? "pushState" : "replaceState"](null, "", "#" + now);
}

function restore() {
  const found = wanted();
  if (!found) return;
  for (const name of ["q", "party", "label"]) filters[name].value = found.get(name) ?? "";
  const view = document.getElementById("view-" + found.get("view")) ?? one("input[name=view]");
  if (view) view.checked = true;
  const open = (found.get("open") ?? "").split(" ");
  for (const row of rows) row.details.open = shows(row) && open.includes(row.name);
  apply();
}

function apply() {
  const words = filters.q.value.toLowerCase().split(/\s+/).filter(Boolean);
  const party = filters.party.value, label = filters.label.value, place = parties.indexOf(party);
  const mark = label && (filters.label.selectedOptions[0].dataset.mark || label);
  const fits = text => words.every(word => text.toLowerCase().includes(word));
  let found = 0, functions = 0;
  for (const finding of findings) {
    const { party: accused, label: its } = finding.dataset;
    finding.hidden = !(fits(finding.textContent + finding.id) && (!party || accused === party) && (!label || its === label));
    found += !finding.hidden;
  }
  for (const row of rows) {
    const cells = place < 0 ? row.cells : [row.cells[place]];
    const marked = !mark || cells.some(cell => all("b, u", cell).some(marks => marks.textContent.includes(mark)) || cell.textContent.trim() === label);
    row.body.hidden = !(marked && fits(row.name));
    functions += shows(row) && !row.body.hidden;
  }
  one("#shown").textContent = words.length || party || label ? `${found} findings, ${functions} functions` : "";
}

filters.addEventListener("input", event => { apply(); remember(event.target !== filters.q); });
filters.addEventListener("submit", event => event.preventDefault());
filters.addEventListener("reset", () => setTimeout(() => { apply(); remember(true); }));
addEventListener("popstate", restore);
addEventListener("hashchange", restore);
for (const view of all("input[name=view]")) view.addEventListener("change", () => { apply(); remember(true); });

// Cells open the pictures of their function.

for (const row of rows) row.details.addEventListener("toggle", () => remember(true));
for (const matrix of matrices) matrix.addEventListener("click", event => {
  const cell = event.target.closest("tbody tr:not(.p) td");
  if (!cell || getSelection().toString()) return;
  const details = one("details", cell.closest("tbody"));
  details.open = !details.open;
});

// Columns sort, rows staying with their pictures.

function value(text) {
  const number = parseFloat(text.replaceAll(",", ""));
  return Number.isNaN(number) ? null : number;
}

function sort(table, place, head) {
  const down = head.getAttribute("aria-sort") === "ascending" || (!head.hasAttribute("aria-sort") && table.classList.contains("matrix") && place > 0);
  for (const other of all("thead th", table)) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const matrix = table.classList.contains("matrix"), parent = matrix ? table : one("tbody", table);
  const items = [...(matrix ? table.tBodies : parent.rows)].map((item, was) => {
    const text = (matrix ? item.rows[0] : item).cells[place].textContent.trim();
    return { item, was, text, number: value(text) };
  });
  const sign = down ? -1 : 1;
  items.sort((a, b) => {
    if (a.number !== null && b.number !== null) return sign * (a.number - b.number) || a.was - b.was;
    if (a.number === null && b.number === null) return sign * a.text.localeCompare(b.text) || a.was - b.was;
    return a.number === null ? 1 : -1;
  });
  parent.append(...items.map(entry => entry.item));
}

for (const table of all(".sortable")) all("thead th", table).forEach((head, place) => {
  const button = document.createElement("button");
  button.append(...head.childNodes);
  button.type = "button";
  button.title = "sort";
  button.addEventListener("click", () => sort(table, place, head));
  head.append(button);
});

// Copying.

async function copy(pre, button) {
  const text = one("code", pre).textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  button.textContent = "copied";
  setTimeout(() => { button.textContent = "copy"; }, 1500);
}

for (const pre of all("pre.copy")) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "copy";
  button.addEventListener("click", () => copy(pre, button));
  pre.append(button);
}

// Keys.

let here = null;

function step(by) {
  const there = findings.filter(finding => !finding.hidden && finding.matches("details"));
  if (!there.length) return;
  const place = there.indexOf(here);
  here?.classList.remove("here");
  here = there[Math.min(Math.max(place + by, 0), there.length - 1)];
  here.classList.add("here");
  one("summary", here).focus();
  here.scrollIntoView({ block: "nearest" });
}

const jump = selector => () => one(selector).scrollIntoView();
const keys = {
  "/": () => filters.q.focus(),
  "?": () => one("#help").showModal(),
  j: () => step(1),
  k: () => step(-1),
  o: () => { if (here) here.open = !here.open; },
  c: () => { if (here) copy(one(".reproduce", here), one(".reproduce button", here)); },
  f: jump("#findings"),
  m: jump("#matrix"),
  t: jump("#timings"),
  Escape: () => { filters.reset(); document.activeElement.blur(); },
};
all("input[name=view]").forEach((view, place) => { keys[place + 1] = () => view.click(); });

addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || one("#help").open) return;
  if (event.target.matches("input[type=search], select") && event.key !== "Escape") return;
  const act = keys[event.key];
  if (act) { event.preventDefault(); act(); }
});

restore();
