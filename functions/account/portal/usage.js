// The page of usage.
import { $, API, ask, busy, element, read, say } from "./shared.js";

const DAY = 86400000;
const MOST_SERIES = 8;
const NAMES = { requests: "Requests", tokens: "Tokens", cost_micro_usd: "Cost (US$)" };
const ARROWS = { ArrowLeft: -1, ArrowRight: 1 };
let lines = null;
let shown = null;

const iso = (time) => new Date(time).toISOString().slice(0, 10);
const value = (line, metric) => (metric === "tokens" ? line.input_tokens + line.output_tokens : line[metric]);
const number = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const money = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 6 });
const spell = (amount, metric) => (metric === "cost_micro_usd" ? `$${money.format(amount / 1e6)}` : number.format(amount));

function period() {
  const start = Date.parse($("start").value);
  const end = Date.parse($("end").value);
  if (!(end >= start)) throw new Error("The last day is before the first.");
  if ((end - start) / DAY >= 92) throw new Error("A period has at most 92 days.");
  const url = new URL("usage", API);
  url.search = new URLSearchParams({ start: iso(start), end: iso(end) });
  return url;
}

// What fails leaves no older figures standing.
async function tried(work) {
  if (!(await busy(work))) $("result").hidden = true;
}

async function load() {
  shown = await read(await ask(period(), "usage"));
  lines = shown.data;
  const at = shown.gathered_at;
  $("fresh").textContent = at === null
    ? "Usage has not been gathered yet; that happens once an hour."
    : `Gathered ${new Date(at * 1000).toISOString().replace("T", " ").slice(0, 16)} UTC; later chats are not in it yet.`;
  say(lines.length ? "" : "No usage in this period.");
  $("result").hidden = false;
  draw();
}

async function download() {
  const response = await ask(period(), "usage", { accept: "text/csv" });
  const link = element("a", { href: URL.createObjectURL(await response.blob()), download: `usage-${$("start").value}-${$("end").value}.csv` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  say("Downloaded.");
}

function days() {
  const found = [];
  for (let time = Date.parse(shown.start); time <= Date.parse(shown.end); time += DAY) found.push(iso(time));
  return found;
}

// The largest series by name; what is beyond eight is one series, "others".
function series(by, metric) {
  const totals = new Map();
  for (const line of lines) totals.set(line[by], (totals.get(line[by]) ?? 0) + value(line, metric));
  const names = [...totals.keys()].sort((a, b) => totals.get(b) - totals.get(a) || (a < b ? -1 : 1));
  if (names.length <= MOST_SERIES) return { names, of: (line) => line[by] };
  const kept = names.slice(0, MOST_SERIES - 1);
  return { names: [...kept, "others"], of: (line) => (kept.includes(line[by]) ? line[by] : "others") };
}

function step(most) {
  const rough = Math.max(most, 1) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  return Math.max(1, [1, 2, 5, 10].find((factor) => factor * power >= rough) * power);
}

function draw() {
  const [metric, by] = [$("metric").value, $("by").value];
  const { names, of } = series(by, metric);
  const dates = days();
  const sums = new Map(dates.map((date) => [date, new Map()]));
  for (const line of lines) {
    const day = sums.get(line.day);
    if (day) day.set(of(line), (day.get(of(line)) ?? 0) + value(line, metric));
  }
  $("result-title").textContent = `${NAMES[metric]} by day and ${by === "model" ? "model" : "key"}`;
  const mark = (index) => element("svg:svg", { viewBox: "0 0 10 10", "aria-hidden": "true" }, element("svg:rect", { width: 10, height: 10, class: `s${index}` }));
  $("legend").replaceChildren(...names.map((name, index) => element("li", {}, mark(index), name)));
  $("plot").replaceChildren(plot(dates, sums, names, metric));
  table(metric);
}

function plot(dates, sums, names, metric) {
  const [width, height, left, right, bottom, top] = [960, 320, 74, 14, 30, 10];
  const total = (date) => [...sums.get(date).values()].reduce((sum, each) => sum + each, 0);
  const unit = step(Math.max(...dates.map(total)));
  const most = unit * Math.max(1, Math.ceil(Math.max(...dates.map(total)) / unit));
  const y = (amount) => height - bottom - ((height - bottom - top) * amount) / most;
  const band = (width - left - right) / dates.length;
  const svg = element("svg:svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": `${$("result-title").textContent}. A table with the same figures follows.` });
  for (let amount = 0; amount <= most; amount += unit) {
    svg.append(element("svg:line", { class: "axis", x1: left, x2: width - right, y1: y(amount), y2: y(amount) }),
      element("svg:text", { class: "tick left", x: left - 8, y: y(amount) + 4, "aria-hidden": "true" }, spell(amount, metric)));
  }
  const every = Math.ceil(dates.length / 10);
  dates.forEach((date, index) => {
    const x = left + index * band;
    const parts = names.filter((name) => sums.get(date).get(name)).map((name) => `${name} ${spell(sums.get(date).get(name), metric)}`);
    const label = `${date}: ${spell(total(date), metric)}${parts.length > 1 ? ` (${parts.join(", ")})` : ""}`;
    const group = element("svg:g", { class: "day", role: "img", "aria-label": label, tabindex: index === dates.length - 1 ? 0 : -1 });
    group.append(element("svg:rect", { class: "hit", x: x + 1, y: top, width: Math.max(band - 2, 1), height: height - bottom - top }));
    let base = 0;
    names.forEach((name, at) => {
      const amount = sums.get(date).get(name) ?? 0;
      if (amount) group.append(element("svg:rect", { class: `s${at}`, x: x + band * 0.15, width: band * 0.7, y: y(base + amount), height: Math.max(y(base) - y(base + amount), 0.5) }));
      base += amount;
    });
    const tell = () => { $("detail").textContent = label; };
    group.addEventListener("focus", tell);
    group.addEventListener("pointerenter", tell);
    svg.append(group);
    if ((dates.length - 1 - index) % every === 0) svg.append(element("svg:text", { class: "tick middle", x: x + band / 2, y: height - 10, "aria-hidden": "true" }, date.slice(5)));
  });
  svg.addEventListener("keydown", (event) => move(event, [...svg.querySelectorAll(".day")]));
  return svg;
}

// One stop of the Tab key; the arrow keys, Home and End move inside (ARIA Authoring Practices, roving tabindex).
function move(event, stops) {
  const at = stops.indexOf(document.activeElement);
  const to = event.key === "Home" ? 0 : event.key === "End" ? stops.length - 1 : at + (ARROWS[event.key] ?? NaN);
  if (at < 0 || !stops[to]) return;
  event.preventDefault();
  stops[at].setAttribute("tabindex", "-1");
  stops[to].setAttribute("tabindex", "0");
  stops[to].focus();
}

function table(metric) {
  const columns = ["requests", "input_tokens", "cached_tokens", "output_tokens", "cost_micro_usd"];
  const heads = ["Requests", "Tokens in", "of these cached", "Tokens out", "Cost"];
  const numeric = (line) => columns.map((name) => element("td", { class: "number" }, spell(line[name], name)));
  const head = element("tr", {}, ...["Day", "Key", "Model"].map((text) => element("th", { scope: "col" }, text)),
    ...heads.map((text) => element("th", { scope: "col", class: "number" }, text)));
  const total = Object.fromEntries(columns.map((name) => [name, lines.reduce((sum, line) => sum + line[name], 0)]));
  const rows = lines.map((line) => element("tr", {}, element("th", { scope: "row" }, line.day), element("td", {}, line.key_id), element("td", {}, line.model), ...numeric(line)));
  $("table").replaceChildren(
    element("caption", {}, `Usage from ${shown.start} to ${shown.end}; the plot shows ${NAMES[metric].toLowerCase()}.`),
    element("thead", {}, head), element("tbody", {}, ...rows),
    element("tfoot", {}, element("tr", {}, element("th", { scope: "row", colspan: 3 }, "Total"), ...numeric(total))));
}

$("query").addEventListener("submit", (event) => {
  event.preventDefault();
  tried(load);
});
$("csv").addEventListener("click", () => tried(download));
for (const id of ["metric", "by"]) $(id).addEventListener("change", () => { if (shown) draw(); });
const today = Date.parse(iso(Date.now()));
$("end").value = iso(today);
$("start").value = iso(today - 29 * DAY);
