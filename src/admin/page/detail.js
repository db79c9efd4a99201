// One series or one own figure: its value now, its chart, its names in Graphite.
import { ask, rows } from "./api.js";
import { $, el, keyed, text } from "./dom.js";
import { chart } from "./chart.js";
import { ago, clock, duration, number, plural, rate, withUnit } from "./format.js";
import { read, toNothing } from "./route.js";
import { dropped, named } from "./series.js";
import { who } from "./who.js";

const nows = { counter: "so far", gauge: "now", timer: "samples so far", set: "members so far" };

let open = null; // what is shown: { key, route, part, chart, opener }

export function begin() {
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && open) close();
  });
  matchMedia("(max-width: 760px)").addEventListener("change", cover);
  follow(null);
}

const keyOf = (route) =>
  route.series
    ? `series ${route.type} ${route.series}`
    : route.figure
      ? `figure ${route.figure} ${route.labels}`
      : null;

// Shows what the address names.
export function follow(info) {
  const route = read();
  const key = keyOf(route);
  if (key === (open?.key ?? null)) return;
  const opener = open?.opener ?? document.activeElement;
  end();
  if (!key) return;
  const box = $("detail");
  open = { key, route, opener, chart: null, columns: "", part: make(box, route) };
  box.hidden = false;
  document.body.dataset.detail = "";
  cover();
  open.part.title.focus({ preventScroll: true });
  if (info) refresh(info, true).catch(() => {});
}

function end() {
  open?.chart?.end();
  open?.part.who?.end();
  open = null;
  delete document.body.dataset.detail;
  $("detail").hidden = true;
  $("detail").replaceChildren();
  cover();
}

function close() {
  const { opener } = open;
  history.pushState(null, "", toNothing());
  end();
  const target = opener?.isConnected && opener !== document.body ? opener : $("series-title");
  target.focus();
}

// On a phone the panel covers the page, which then must not get the focus.
function cover() {
  const covers = Boolean(open) && matchMedia("(max-width: 760px)").matches;
  for (const id of ["main", "top"]) $(id).inert = covers;
  $("detail").setAttribute("aria-modal", String(covers));
}

function make(box, route) {
  const part = {
    title: el("h2", { id: "detail-title", tabindex: "-1" }),
    now: el("strong", { class: "value" }, "–"),
    nowText: el("span", { class: "muted" }),
    facts: el("p", { class: "facts" }),
    plot: el("div", { class: "plots" }),
    note: el("p", { class: "muted small note-points" }, "…"),
    list: el("dl"),
    who: route.series ? who(route.series) : null,
    table: el("details", { hidden: true }, el("summary", {}, "The points as a table"), el("div")),
  };
  if (route.series) named(part.title, route.series);
  else
    part.title.append(
      route.figure,
      ...(route.labels ? [el("span", { class: "tags" }, ` ${route.labels}`)] : []),
    );
  const kind = route.series ? route.type : "own figure";
  part.table.addEventListener("toggle", () => open && showTable());
  // The button follows the title, which has the focus: the next Tab reaches it.
  box.replaceChildren(
    el(
      "div",
      { class: "head" },
      el("div", {}, el("span", { class: "kind", "data-kind": kind }, kind), part.title),
      el("button", { type: "button", class: "button", onclick: close }, "Close"),
    ),
    el("p", { class: "now" }, part.now, " ", part.nowText),
    part.facts,
    part.plot,
    part.note,
    ...(part.who ? [part.who.root] : []),
    part.list,
    part.table,
  );
  return part;
}

// Each second the value; at a flush, and at first, the history.
export async function refresh(info, isFlush) {
  if (!open) return;
  const mine = open;
  try {
    const isNew = mine.columns === "";
    await (mine.route.series ? showSeries(mine, info) : showFigure(mine, info));
    if (mine === open && (isFlush || isNew)) await showHistory(mine, info);
  } catch (error) {
    if (error.kind === "lost" || !error.kind) throw error;
    if (mine === open) text(mine.part.note, error.message);
  }
}

async function showSeries(mine, info) {
  const { part, route } = mine;
  let one;
  let missing = null;
  try {
    one = await ask("series", { name: route.series, kind: route.type });
  } catch (error) {
    if (error.status !== 404) throw error;
    missing = error.answer;
  }
  if (mine !== open) return;
  mine.one = one;
  if (!one) {
    text(part.now, "–");
    text(
      part.nowText,
      missing?.dropped_by
        ? `There is no such series now. ${dropped(missing.dropped_by, route.series, info)}`
        : "There is no such series now. It was deleted or has expired, or its name is misspelt.",
    );
    return keyed(part.facts, [], String, String, () => {});
  }
  text(part.now, number(one.value));
  const phase = Math.max(0, info.now - (info.last_flush ?? info.now));
  const spent = `${Math.min(info.interval, Math.round(phase))} of ${duration(info.interval)}`;
  text(
    part.nowText,
    one.kind === "gauge" ? nows.gauge : `${nows[one.kind]} in the open interval (${spent})`,
  );
  const facts = [];
  if (typeof one.last === "number") {
    const each = one.kind === "counter" ? ` (${rate(one.last / info.interval)} a second)` : "";
    facts.push(`last interval ${number(one.last)}${each}`);
  }
  if (typeof one.total === "number") facts.push(`total ${number(one.total)}`);
  facts.push(`last seen ${ago(one.idle)}`);
  keyed(
    part.facts,
    facts,
    (fact) => fact,
    (fact) => el("span", {}, fact),
    () => {},
  );
  showFacts(part.list, one);
}

function showFacts(list, one) {
  const items = [["Last value from", [one.sender ?? "not known"]]];
  if (one.rules)
    items.push([
      one.rules.length > 1 ? "Rules" : "Rule",
      one.rules.length ? one.rules.map((name) => `[${name}]`) : ["none: the settings of [statsd]"],
    ]);
  for (const { destination, names } of one.sent_as ?? [])
    items.push([`Sent to ${destination} as`, names]);
  for (const { destination, reason } of one.not_sent ?? [])
    items.push([`Not sent to ${destination}`, [reason]]);
  if (one.sent_as && !one.sent_as.length) items.push(["Sent", ["to no destination"]]);
  const figures = Object.entries(one.figures ?? {});
  if (figures.length) {
    items.push([
      "Last closed interval",
      figures.map(([name, value]) => `${name} ${number(value)}`),
    ]);
  }
  keyed(
    list,
    items,
    ([title]) => title,
    ([title]) => el("div", {}, el("dt", {}, title), el("dd")),
    (node, [, values]) => {
      keyed(
        node.lastChild,
        values.map((value, at) => [at, value]),
        ([at]) => at,
        () => el("code"),
        (code, [, value]) => text(code, value),
      );
    },
  );
}

function showFigure(mine, info) {
  const { part, route } = mine;
  const all = rows(info, route.figure).filter(
    (row) => !route.labels || Object.values(row.labels ?? {}).join(" ") === route.labels,
  );
  if (!all.length) {
    text(part.now, route.figure === "lost_lines" ? number(info.lost_lines) : "–");
    return text(
      part.nowText,
      route.figure === "lost_lines"
        ? "lines lost since the start"
        : "The server has no such figure now.",
    );
  }
  const sum = all.reduce((total, row) => total + row.value, 0);
  text(part.now, withUnit(sum, all[0].unit));
  text(part.nowText, all[0].doc ?? "");
  const each = all.reduce((total, row) => total + (row.rate ?? 0), 0);
  const facts =
    typeof all[0].rate === "number" ? [`${rate(each)} a second in the last minute`] : [];
  keyed(
    part.facts,
    facts,
    (fact) => fact,
    (fact) => el("span", {}, fact),
    () => {},
  );
  if (all.length < 2) return keyed(part.list, [], String, String, () => {});
  keyed(
    part.list,
    all,
    (row) => JSON.stringify(row.labels),
    (row) => el("div", {}, el("dt", {}, Object.values(row.labels ?? {}).join(" ")), el("dd")),
    (node, row) => text(node.lastChild, withUnit(row.value, row.unit)),
  );
}

async function showHistory(mine, info) {
  const { part, route } = mine;
  let past = { columns: ["t", "value"], points: [] };
  if (!route.series) past = await ask("history", { figure: route.figure, labels: route.labels });
  else if (mine.one?.history) past = await ask("history", { name: route.series, kind: route.type });
  if (mine !== open) return;
  const columns = past.columns.join();
  if (past.points.length && columns !== mine.columns) {
    mine.chart?.end();
    part.plot.replaceChildren();
    mine.chart = chart(part.plot, route.series || route.figure, past.columns);
  }
  mine.columns = columns;
  mine.past = past;
  mine.chart?.set(past);
  part.table.hidden = !past.points.length;
  text(part.note, note(mine, info, past));
  showTable();
}

function note({ one }, info, past) {
  if (past.points.length) {
    const span = past.points.at(-1)[0] - past.points[0][0] + past.step;
    return (
      `${plural(past.points.length, "point")}, one each ${duration(past.step)}, ` +
      `over ${duration(span)}. ` +
      "Drag to look closer, double-click to go back."
    );
  }
  if (!info.history?.limit) return "The history is off: [admin] history_memory is 0.";
  // A new series is not remembered before its first flush, whatever room there is.
  if (one && one.history === false && info.history.not_kept) {
    return (
      "The history of this series is not kept: " +
      "history_memory is used up by series with more samples. " +
      "A larger [admin] history_memory keeps more."
    );
  }
  return `The chart begins with the next flush, within ${duration(info.interval)}.`;
}

// The newest first. Only while it is open: it may have thousands of cells.
function showTable() {
  const { part, past } = open;
  if (!part.table.open || !past) return;
  const head = el(
    "tr",
    {},
    ...past.columns.map((name, at) =>
      el("th", { scope: "col", class: at ? "num" : null }, at ? name : "time"),
    ),
  );
  const body = past.points
    .slice(-120)
    .reverse()
    .map(([time, ...values]) =>
      el(
        "tr",
        {},
        el("th", { scope: "row" }, clock(time)),
        ...values.map((value) => el("td", { class: "num" }, number(value))),
      ),
    );
  part.table.lastChild.replaceChildren(
    el("table", {}, el("thead", {}, head), el("tbody", {}, ...body)),
  );
}
