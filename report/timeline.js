"use strict";
// The page of a timeline. The processes come in the order of the tree, each with
// its depth, the index of its starter (up) and the number of its descendants
// (below); only the rows in sight are in the document. Times are in µs.
const life = JSON.parse(document.getElementById("life").textContent);
const all = life.processes, ROW = 22, total = Math.max(life.length, 1);
const $ = id => document.getElementById(id);
const list = $("rows"), ticks = $("ticks"), details = $("details");

let from = 0, to = total;            // what of the time axis is in sight
let rows = [], rowOf = [];           // rows in order: {p} or {p, t}; rowOf[p] is p's row, or -1
let folded = new Set(), threads = false, only = "all";
let selected = -1, hits = [], hit = -1, hitSet = new Set();

const endOf = p => p.ended ? p.end : total;
const goneAt = p => !p.ended ? total : p.reaped ? p.reaped_at : total;
const kindOf = p => p.left ? "left" : !p.ended ? "unknown" : p.signal ? "killed" : p.exit < 0 ? "unknown" : p.exit ? "fail" : "ok";
const lookFor = p => (p.pid + " " + p.comm + " " + (p.args || []).join(" ")).toLowerCase();
const texts = all.map(lookFor);

function span(us) {
  if (us >= 60e6) return Math.floor(us / 60e6) + " min " + +((us % 60e6) / 1e6).toFixed(1) + " s";
  if (us >= 1e6) return +(us / 1e6).toFixed(3) + " s";
  if (us >= 1e3) return +(us / 1e3).toFixed(2) + " ms";
  return us + " µs";
}
function ending(p) {
  if (!p.ended) return p.left ? "it was still there when the command had ended" : "its end is not known";
  if (p.signal) return "killed by " + p.signal + (p.core ? ", with a core" : "");
  return p.exit < 0 ? "it ended; how is not known" : "exited with " + p.exit;
}
function wanted(p) {
  switch (only) {
  case "failed": return p.ended && (p.signal || p.exit > 0);
  case "zombie": return p.ended && goneAt(p) - p.end > total / 100;
  case "left": return p.left;
  }
  return true;
}

// rebuild finds out which rows there are.
function rebuild() {
  rows = [];
  rowOf = new Array(all.length).fill(-1);
  for (let i = 0; i < all.length; i++) {
    if (wanted(all[i])) {
      rowOf[i] = rows.length;
      rows.push({p: i});
      if (threads) (all[i].threads || []).forEach((_, t) => rows.push({p: i, t}));
    }
    if (only === "all" && folded.has(i)) i += all[i].below;
  }
  $("height").style.height = rows.length * ROW + "px";
  draw();
}

// draw fills the rows in sight.
let asked = false;
function draw() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => { asked = false; drawNow(); });
}
const pool = [];
function drawNow() {
  const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 2);
  const count = Math.max(0, Math.min(rows.length - first, Math.ceil(list.clientHeight / ROW) + 4));
  while (pool.length < count) {
    const row = document.createElement("div");
    row.setAttribute("role", "row");
    row.innerHTML = '<div class="name" role="gridcell"></div><div class="lane" role="gridcell"></div>';
    pool.push(list.appendChild(row));
  }
  while (pool.length > count) pool.pop().remove();
  pool.forEach((el, k) => fill(el, first + k));
  drawAxis();
}
function fill(el, at) {
  const r = rows[at], p = all[r.p], thread = r.t === undefined ? null : p.threads[r.t];
  el.className = "row" + (!thread && hitSet.has(r.p) ? " hit" : "");
  el.id = "row" + at;
  el.style.top = at * ROW + "px";
  el.dataset.at = at;
  el.dataset.pid = thread ? thread.tid : p.pid;
  el.setAttribute("aria-level", p.depth + 1);
  el.setAttribute("aria-selected", !thread && r.p === selected);
  const name = el.firstChild, lane = el.lastChild;
  name.replaceChildren();
  const depth = only === "all" ? p.depth : 0;
  name.style.paddingLeft = Math.min(depth, 14) * 14 + (thread ? 30 : 4) + "px";
  if (depth > 14 && !thread) add(name, "span", "num", "+" + (depth - 14));
  if (!thread) {
    const parent = p.below > 0 && only === "all";
    add(name, "span", "twisty", parent ? (folded.has(r.p) ? "▸" : "▾") : "");
    if (parent) el.setAttribute("aria-expanded", !folded.has(r.p)); else el.removeAttribute("aria-expanded");
  }
  add(name, "span", "num", thread ? thread.tid : p.pid);
  name.append(thread ? "{" + (thread.comm || "thread") + "}" : (p.args && p.args.length ? p.args.join(" ") : p.comm));
  lane.replaceChildren();
  if (thread) {
    bar(lane, "bar thread", thread.start, thread.end || endOf(p));
    return;
  }
  if (p.ended && goneAt(p) > p.end) bar(lane, "bar zombie", p.end, goneAt(p));
  bar(lane, "bar " + kindOf(p), p.start, endOf(p));
  for (const e of p.execs || []) {
    if (e.at >= from && e.at <= to) add(lane, "i", "exec", "").style.left = x(e.at) * 100 + "%";
  }
}
function add(to, tag, cls, text) {
  const el = document.createElement(tag);
  if (cls) el.className = cls;
  el.textContent = text;
  to.append(el);
  return el;
}
const x = us => (us - from) / (to - from);
function bar(lane, cls, start, end) {
  if (end < from || start > to) return;
  const a = Math.max(0, x(start)), b = Math.min(1, x(end)), el = add(lane, "div", cls, "");
  el.style.left = "min(" + a * 100 + "%, 100% - 2px)";
  el.style.width = (b - a) * 100 + "%";
}
function drawAxis() {
  const rough = (to - from) / Math.max(1, ticks.clientWidth / 110), ten = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(1, [1, 2, 5, 10].map(n => n * ten).find(s => s >= rough));
  ticks.replaceChildren();
  for (let t = Math.ceil(from / step) * step; t <= to; t += step) add(ticks, "span", "tick", t ? span(t) : "0").style.left = x(t) * 100 + "%";
}

// The time axis in sight.
function look(a, b) {
  const least = 20, length = Math.min(total, Math.max(least, b - a));
  a = Math.min(Math.max(0, a), total - length);
  from = a;
  to = a + length;
  draw();
}
function zoom(by, at) {
  if (at === undefined) at = selected >= 0 ? Math.min(to, Math.max(from, all[selected].start)) : (from + to) / 2;
  look(at - (at - from) * by, at + (to - at) * by);
}

// Selecting: show opens what hides a process, scrolls to it and tells about it.
function show(p) {
  if (rowOf[p] < 0) {
    for (let up = all[p].up; up >= 0; up = all[up].up) folded.delete(up);
    if (!wanted(all[p])) { only = "all"; $("only").value = "all"; }
    rebuild();
  }
  select(p);
}
function select(p) {
  selected = p;
  details.hidden = p < 0;
  history.replaceState(null, "", p < 0 ? "#" : "#" + p + "/" + all[p].pid); // a link to this page shows it again
  if (p >= 0) {
    tell(p);
    const top = rowOf[p] * ROW;
    if (top < list.scrollTop) list.scrollTop = top - ROW;
    if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top - list.clientHeight / 2;
    list.setAttribute("aria-activedescendant", "row" + rowOf[p]);
  }
  draw();
}
function tell(i) {
  const p = all[i], dl = document.createElement("dl");
  details.replaceChildren();
  const close = add(details, "button", "", "close");
  close.id = "close";
  close.onclick = () => select(-1);
  add(details, "h2", "", "process " + p.pid + ": " + (p.args && p.args.length ? p.args.join(" ") : p.comm));
  const item = (k, v) => { add(dl, "dt", "", k); const dd = add(dl, "dd", "", ""); dd.append(v); return dd; };
  const link = j => { const a = add(document.createElement("span"), "a", "", all[j].pid + " " + all[j].comm); a.onclick = () => show(j); return a; };
  item("name", p.comm);
  item("ids", "parent " + p.ppid + ", group " + (p.pgid || "?") + ", session " + (p.sid || "?"));
  if (p.up >= 0) item("started by", link(p.up));
  item("started at", span(p.start));
  item("ended", ending(p) + (p.ended ? " at " + span(p.end) + ", after " + span(p.end - p.start) : ""));
  if (p.ended) {
    const waited = p.reaped_by_index >= 0 ? link(p.reaped_by_index) : "";
    item("waited for", p.reaped ? "after " + span(p.reaped_at - p.end) : "never: a zombie to the end").append(waited ? " by " : "", waited);
  }
  if (p.left) item("left behind", "it outlived the command");
  for (const e of p.execs || []) item("exec at " + span(e.at), (e.args || []).join(" "));
  if (p.threads) item("threads", p.threads.map(t => t.tid + (t.comm ? " " + t.comm : "")).join(", "));
  if (p.below) item("below it", p.below + " processes");
  details.append(dl);
}

// Searching.
function search() {
  const word = $("search").value.trim().toLowerCase();
  hits = [];
  if (word) texts.forEach((t, i) => { if (t.includes(word)) hits.push(i); });
  const number = hits.findIndex(i => String(all[i].pid) === word);
  hitSet = new Set(hits);
  hit = hits.length ? Math.max(0, number) : -1;
  next(0);
}
function next(by) {
  if (hits.length) {
    hit = (hit + by + hits.length) % hits.length;
    show(hits[hit]);
  }
  $("hits").textContent = $("search").value.trim() ? (hits.length ? hit + 1 + " of " + hits.length : "none") : "";
  draw();
}

// Moving by keys.
function step(by) {
  let at = selected < 0 ? -1 : rowOf[selected];
  do at += by; while (at >= 0 && at < rows.length && rows[at].t !== undefined);
  at = Math.min(rows.length - 1, Math.max(0, at));
  if (rows.length) select(rows[at].p);
}
function fold(p, close) {
  if (close) folded.add(p); else folded.delete(p);
  rebuild();
}
const keys = {
  "/": () => $("search").focus(), "n": () => next(1), "N": () => next(-1), "t": () => $("threads").click(),
  "+": () => zoom(.5), "=": () => zoom(.5), "-": () => zoom(2), "0": () => look(0, total),
  "ArrowDown": () => step(1), "ArrowUp": () => step(-1), "PageDown": () => step(20), "PageUp": () => step(-20),
  "Home": () => rows.length && select(rows[0].p), "End": () => rows.length && step(rows.length),
  "ArrowLeft": () => selected >= 0 && (all[selected].below && !folded.has(selected) ? fold(selected, true) : all[selected].up >= 0 && show(all[selected].up)),
  "ArrowRight": () => selected >= 0 && fold(selected, false),
  "[": () => look(from - (to - from) / 4, to - (to - from) / 4), "]": () => look(from + (to - from) / 4, to + (to - from) / 4),
  "Enter": () => selected >= 0 && look(all[selected].start - (endOf(all[selected]) - all[selected].start) * .1, endOf(all[selected]) * 1.1 - all[selected].start * .1),
  "Escape": () => select(-1),
};
document.addEventListener("keydown", e => {
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  if (e.target === $("search")) {
    if (e.key === "Enter") next(e.shiftKey ? -1 : 1);
    if (e.key === "Escape") list.focus();
    return;
  }
  if (e.target.tagName === "SELECT" || e.target.tagName === "BUTTON" && (e.key === "Enter" || e.key === " ")) return;
  if (keys[e.key]) { e.preventDefault(); keys[e.key](); }
});

list.addEventListener("scroll", draw, {passive: true});
list.addEventListener("click", e => {
  const row = e.target.closest(".row");
  if (!row || dragged) return;
  const p = rows[row.dataset.at].p;
  if (e.target.className === "twisty" && all[p].below) fold(p, !folded.has(p)); else select(p);
});
list.addEventListener("dblclick", e => { if (e.target.closest(".lane")) keys.Enter(); });
const laneAt = e => { const r = ticks.getBoundingClientRect(); return from + (to - from) * Math.min(1, Math.max(0, (e.clientX - r.left) / r.width)); };
list.addEventListener("wheel", e => {
  if (e.ctrlKey || e.metaKey) { e.preventDefault(); zoom(e.deltaY > 0 ? 1.25 : .8, laneAt(e)); }
  else if (e.shiftKey || Math.abs(e.deltaX) > Math.abs(e.deltaY)) { e.preventDefault(); const by = (e.deltaX || e.deltaY) / ticks.clientWidth * (to - from); look(from + by, to + by); }
}, {passive: false});
let grip = null, dragged = false;
list.addEventListener("pointerdown", e => { dragged = false; if (e.button === 0 && e.target.closest(".lane")) grip = {at: e.clientX, from, to}; });
window.addEventListener("pointermove", e => {
  if (!grip || Math.abs(e.clientX - grip.at) < 4 && !dragged) return;
  dragged = true;
  const by = (grip.at - e.clientX) / ticks.clientWidth * (grip.to - grip.from);
  look(grip.from + by, grip.to + by);
});
window.addEventListener("pointerup", () => { grip = null; });
window.addEventListener("resize", draw);
$("search").addEventListener("input", search);
$("only").addEventListener("change", e => { only = e.target.value; list.scrollTop = 0; rebuild(); });
$("threads").addEventListener("click", e => { threads = !threads; e.target.setAttribute("aria-pressed", threads); rebuild(); });
$("in").onclick = () => zoom(.5);
$("out").onclick = () => zoom(2);
$("fit").onclick = () => look(0, total);

$("title").textContent = life.command || "process life";
const count = (n, one, many) => n + " " + (n === 1 ? one : many);
$("counts").textContent = [life.outcome, span(life.length), count(all.length, "process", "processes"),
  count(all.filter(p => p.ended && (p.signal || p.exit > 0)).length, "failed or killed", "failed or killed"),
  count(all.filter(p => p.left).length, "left behind", "left behind"),
  life.lost < 0 ? "what was missed can't be known" : life.lost ? life.lost + " missed" : "nothing missed"].filter(Boolean).join(" · ");
rebuild();
const [linked] = location.hash.slice(1).split("/");
if (linked !== "" && all[linked]) show(+linked);
