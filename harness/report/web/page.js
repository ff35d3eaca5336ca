"use strict";
// Everything is readable without this script; it adds sorting, searching, the tooltip and the choice of a rollout.

// A box that scrolls must be reachable by keyboard; one that does not must not be a stop.
function stops() {
  for (const box of document.querySelectorAll(".scroll")) {
    const scrolls = box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight;
    if (scrolls) box.setAttribute("tabindex", "0");
    else box.removeAttribute("tabindex");
  }
}

function key(row, column) {
  const cell = row.cells[column];
  return cell.dataset.value ?? cell.textContent.trim();
}

// Cells without a value stay last in both directions.
function compare(a, b, sign) {
  if (a === "" || b === "") return (a === "") - (b === "");
  const numbers = [Number(a), Number(b)];
  return sign * (numbers.some(Number.isNaN) ? a.localeCompare(b) : numbers[0] - numbers[1]);
}

function sort(table, header) {
  const down = header.getAttribute("aria-sort") === "ascending";
  for (const other of header.parentElement.cells) {
    if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
  }
  header.setAttribute("aria-sort", down ? "descending" : "ascending");
  for (const body of table.tBodies) {
    const rows = [...body.rows].filter((row) => row.cells.length > 1);
    rows.sort((a, b) => compare(key(a, header.cellIndex), key(b, header.cellIndex), down ? -1 : 1));
    body.append(...rows);
  }
}

function sortable() {
  for (const header of document.querySelectorAll("th[aria-sort]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    button.addEventListener("click", () => sort(header.closest("table"), header));
    header.append(button);
  }
}

function searchable() {
  const field = document.getElementById("run-search");
  if (!field) return;
  const rows = [...document.querySelectorAll("#runs tbody tr")];
  const count = document.getElementById("run-count");
  field.closest("[hidden]").hidden = false;
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += !row.hidden;
    }
    count.textContent = `${shown} of ${rows.length} runs`;
  });
}

// One tab stop a rollout; the arrows go from token to token.
function roving(group) {
  const tokens = [...group.querySelectorAll(".token")];
  const moves = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -tokens.length, End: tokens.length };
  tokens.forEach((token, at) => {
    token.tabIndex = at === 0 ? 0 : -1;
    token.addEventListener("keydown", (event) => {
      if (!(event.key in moves) || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      const to = tokens[Math.min(Math.max(at + moves[event.key], 0), tokens.length - 1)];
      for (const other of tokens) other.tabIndex = other === to ? 0 : -1;
      to.focus();
    });
  });
}

function tooltip(tip, token) {
  const list = document.createElement("dl");
  const regime = token.dataset.regime;
  const meaning = document.querySelector(`[data-meaning="${regime}"]`).textContent;
  const facts = { Regime: `${regime}: ${meaning}`, A: token.dataset.gap, "q teacher": token.dataset.teacher,
    "q student": token.dataset.student, Token: token.dataset.right };
  for (const [name, value] of Object.entries(facts)) {
    const term = document.createElement("dt");
    const text = document.createElement("dd");
    term.textContent = name;
    text.textContent = value;
    list.append(term, text);
  }
  tip.replaceChildren(list);
  tip.hidden = false;
  const box = token.getBoundingClientRect();
  const width = document.documentElement.clientWidth;
  const left = Math.min(Math.max(box.left, 8), width - tip.offsetWidth - 8);
  const above = box.top > tip.offsetHeight + 12;
  tip.style.left = `${Math.max(left, 8) + window.scrollX}px`;
  tip.style.top = `${(above ? box.top - tip.offsetHeight - 6 : box.bottom + 6) + window.scrollY}px`;
}

function trajectory() {
  const tip = document.getElementById("token-tip");
  if (!tip) return;
  let current = null;
  const show = (token) => { current = token; token.setAttribute("aria-describedby", tip.id); tooltip(tip, token); };
  const hide = () => { current?.removeAttribute("aria-describedby"); current = null; tip.hidden = true; };
  for (const token of document.querySelectorAll("button.token")) {
    token.addEventListener("mouseenter", () => show(token));
    token.addEventListener("mouseleave", hide);
    token.addEventListener("focus", () => show(token));
    token.addEventListener("blur", hide);
    token.addEventListener("click", () => show(token));
  }
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  const choice = document.getElementById("rollout");
  const rollouts = [...document.querySelectorAll("article.rollout")];
  const choose = () => { hide(); for (const each of rollouts) each.hidden = each.id !== choice.value; };
  choice.closest("[hidden]").hidden = false;
  choice.addEventListener("change", choose);
  choose();
  for (const group of document.querySelectorAll(".tokens")) roving(group);
}

// Paper shows what the screen folds away.
function printing() {
  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const each of opened) each.open = true;
  });
  window.addEventListener("afterprint", () => { for (const each of opened) each.open = false; });
}

function contents() {
  const wide = window.matchMedia("(min-width: 75rem)");
  const fit = () => { document.querySelector("nav.contents > details").open = wide.matches; };
  wide.addEventListener("change", fit);
  fit();
}

contents();
sortable();
searchable();
trajectory();
printing();
stops();
new ResizeObserver(stops).observe(document.body);
document.addEventListener("toggle", stops, true);
