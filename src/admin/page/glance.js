// The tiles: what arrives, what is lost, what is kept.
import { ask, dropNames, dropRules, figure, rows } from "./api.js";
import { $, attribute, bar, el, fill, keyed, spark, sparkBox, text } from "./dom.js";
import {
  ago,
  bytes,
  duration,
  known,
  number,
  percent,
  plural,
  rate,
  some,
  withUnit,
} from "./format.js";
import { toFigure } from "./route.js";

// The names of the figures in /api/info.
const LINES = "metrics_received";
const PACKETS = "packets_received";
const BYTES = "bytes";
const SERIES = "series";
const CREATED = "series_created";
const MEMORY = "resident_bytes";
const FLUSH = "processing_time_ms";
const DROPPED = "samples_dropped_by_rule";
const SAMPLES = "samples_received";

const KINDS = { counter: "counter", gauge: "gauge", timer: "timer", set: "set" };
const SPAN = 180; // points of a sparkline

// Totals of the last seconds, for rates that move at once.
let samples = [];
const sparks = {};

const tiles = [
  tile("lines", "Lines a second", LINES, showLines),
  tile("loss", "Loss", "lost_lines", showLoss),
  tile("bad", "Bad lines", "bad_lines_seen", showBad),
  tile("series", "Series", SERIES, showSeries),
  tile("memory", "Memory", MEMORY, showMemory),
  tile("flush", "Flush time", FLUSH, showFlush),
];

function tile(id, title, name, show) {
  const link = el("a", { href: toFigure(name) }, title);
  const value = el("p", { class: "value" }, "–");
  const facts = el("ul", { class: "plain small" });
  const chart = sparkBox();
  const root = el(
    "article",
    { class: "tile", id: `tile-${id}` },
    el("h3", {}, link),
    value,
    chart,
    facts,
  );
  return { root, value, facts, chart, link, name, show };
}

$("tiles").append(...tiles.map((one) => one.root));

// A restart begins all totals at 0.
export function forget() {
  samples = [];
}

export function show(info) {
  const total = (name) => figure(info, name)?.value ?? 0;
  samples.push({ t: info.now, lines: total(LINES), packets: total(PACKETS), bytes: total(BYTES) });
  samples = samples.slice(-60);
  for (const one of tiles) {
    attribute(one.link, "href", toFigure(one.name));
    one.show(one, info);
    drawSpark(one);
  }
}

// A rate over the last five seconds, or the last minute's if the page has just been opened.
function recent(info, field, name) {
  const last = samples.at(-1);
  const before = samples.at(-6) ?? samples[0];
  if (last.t - before.t >= 2) return (last[field] - before[field]) / (last.t - before.t);
  return figure(info, name)?.rate ?? null;
}

function facts(one, list) {
  keyed(
    one.facts,
    list.filter(Boolean),
    ([id]) => id,
    () => el("li", {}, el("span"), el("div", { class: "muted" })),
    (node, [, fact, state, more]) => {
      text(node.firstChild, fact);
      text(node.lastChild, more ?? "");
      attribute(node, "data-state", state ?? null);
    },
  );
}

function showLines(one, info) {
  text(one.value, rate(recent(info, "lines", LINES)));
  facts(one, [
    ["packets", `packets: ${rate(recent(info, "packets", PACKETS))} a second`],
    ["bytes", `${bytes(recent(info, "bytes", BYTES))} a second`],
    ["total", `${plural(figure(info, LINES)?.value ?? 0, "line")} since the start`],
  ]);
}

function showLoss(one, info) {
  const lost = info.lost_lines ?? 0;
  const doubt = inDoubt(info);
  one.root.dataset.state = lost ? "bad" : doubt ? "mid" : "good";
  text(one.value, number(lost));
  const others = [doubt, droppedByRules(info)];
  if (!lost) {
    const since = `in ${duration(info.now - info.started)}, since the start`;
    const none = doubt ? `None known to be lost ${since}` : `Nothing lost ${since}`;
    return facts(one, [["none", none, doubt ? null : "good"], ...others]);
  }
  const places = (info.sections?.loss ?? [])
    .filter((row) => row.value > 0 && row.lost)
    .sort((a, b) => b.value - a.value);
  const list = places.slice(0, 4).map((row) => {
    const title = [number(row.value), row.name, ...placesOf(row.name, info)].join(" ");
    const hint = hints[row.name];
    return [row.name, title, "bad", hint ? `${row.doc}:\n${hint}` : row.doc];
  });
  const now = places.reduce((sum, row) => sum + (row.rate ?? 0), 0);
  const recent = Math.round(now * Math.min(60, info.now - info.started));
  list.unshift(["now", `${recent ? number(recent) : "none"} in the last minute`]);
  if (places.length > 4)
    list.push(["more", `and ${plural(places.length - 4, "more place")}: see all figures`]);
  facts(one, [...list, ...others]);
}

// Lines that may be lost, or may have arrived.
function inDoubt(info) {
  const lines = info.sections?.loss?.find((row) => row.name === "in_doubt")?.value;
  if (!lines) return null;
  const at = some(placesOf("in_doubt", info)) || "a destination that was removed";
  return ["doubt", `${plural(lines, "line")}: delivery unknown, at ${at}`, "mid", hints.in_doubt];
}

// What rules drop is no loss: it is configured. But a rule may drop more than it should.
function droppedByRules(info) {
  const dropped = figure(info, DROPPED);
  if (!dropped?.value) return null;
  const rules = dropRules(info);
  const share = dropped.value / (dropped.value + (figure(info, SAMPLES)?.value ?? 0));
  const last = Math.round((dropped.rate ?? 0) * Math.min(60, info.now - info.started));
  const about = rules.length === 1 ? `match = ${some(rules[0].match)}; ` : "";
  return [
    "rules",
    `${plural(dropped.value, "value")} dropped by ${dropNames(info)}: ${percent(share)} of all values`,
    last ? "mid" : null,
    `${about}${last ? number(last) : "none"} in the last minute; not counted as lost`,
  ];
}

// What helps, where the meaning of a figure does not say it.
const hints = {
  udp_drops: "a larger [udp] recv_buffer takes larger bursts",
  dropped_lines: "their queue was full; see Destinations",
  in_doubt: "Their connection broke, or their command failed. They may have arrived.",
  series_rejected: "statsd --ask top new names the largest group",
};

// The listeners or destinations at which it happened.
function placesOf(name, info) {
  if (name === "udp_drops")
    return (info.listeners ?? []).filter((one) => one.drops).map((one) => one.address);
  if (name === "dropped_lines" || name === "in_doubt")
    return (info.destinations ?? []).filter((one) => one[name]).map((one) => one.name);
  return [];
}

function showBad(one, info) {
  const reasons = (info.bad ?? []).filter((row) => row.count > 0).sort((a, b) => b.count - a.count);
  const sum = reasons.reduce((all, row) => all + row.count, 0);
  one.root.dataset.state = sum ? "mid" : "";
  text(one.value, number(sum));
  const list = reasons.slice(0, 3).map((row) => [row.reason, `${number(row.count)} ${row.reason}`]);
  if (reasons.length > 3) list.push(["more", `and ${plural(reasons.length - 3, "more reason")}`]);
  if (sum) list.push(["ask", "statsd --ask bad shows them"]);
  else list.push(["none", "Every line could be read"]);
  facts(one, list);
}

function showSeries(one, info) {
  const all = rows(info, SERIES);
  const of = (kind) =>
    all.filter((row) => row.labels?.kind === kind).reduce((sum, row) => sum + row.value, 0);
  const sum = all.reduce((count, row) => count + row.value, 0);
  text(one.value, number(sum));
  const kinds = Object.keys(KINDS)
    .filter((kind) => of(kind))
    .map((kind) => plural(of(kind), KINDS[kind]));
  const made = figure(info, CREATED);
  facts(one, [
    kinds.length ? ["kinds", kinds.join(", ")] : null,
    made && known(made.rate)
      ? [
          "growth",
          `${number(Math.round(made.rate * Math.min(60, info.now - info.started)))} new in the last minute`,
        ]
      : null,
    limit(info, "max_series"),
    limit(info, "series_memory"),
  ]);
}

function limit(info, name) {
  const row = (info.sections?.limits ?? []).find((found) => found.name === name);
  if (!row?.limit) return null;
  const share = row.value / row.limit;
  return [name, `${percent(share)} of ${name}`, share >= 0.9 ? "bad" : null];
}

function showMemory(one, info) {
  text(one.value, bytes(figure(info, MEMORY)?.value));
  const kept = info.history;
  facts(one, [
    kept?.limit ? ["history", `history ${bytes(kept.bytes)}, reserved ${bytes(kept.reserved)} of ${bytes(kept.limit)}`] : null,
    limit(info, "timer_memory"),
  ]);
}

function showFlush(one, info) {
  const took = figure(info, FLUSH);
  text(one.value, took ? withUnit(took.value, took.row.unit) : "–");
  facts(one, [
    [
      "last",
      figure(info, "flushes")?.value
        ? `last flush ${ago(info.now - info.last_flush)}`
        : "no flush yet",
    ],
  ]);
}

// The remembered history; while there is none, the seconds that this page has seen.
function drawSpark(one) {
  const past = sparks[one.name] ?? [];
  if (past.length > 2) return spark(one.chart, past);
  if (one.name !== LINES) return spark(one.chart, []);
  const seen = samples
    .slice(1)
    .map((sample, at) =>
      Math.max(0, (sample.lines - samples[at].lines) / (sample.t - samples[at].t || 1)),
    );
  spark(one.chart, seen);
}

export function refreshSparks() {
  return Promise.all(
    tiles.map(async (one) => {
      try {
        const past = await ask("history", { figure: one.name });
        sparks[one.name] = past.points.slice(-SPAN).map((point) => point[1]);
      } catch (error) {
        if (error.kind === "lost") throw error;
        sparks[one.name] = [];
      }
    }),
  );
}

// Every figure of the server, by section. The name opens its chart.
export function showAll(box, info) {
  keyed(
    box,
    Object.entries(info.sections ?? {}),
    ([name]) => name,
    ([name]) => {
      const body = el("tbody");
      const head = ["Figure", "Value", "A second", "Meaning"].map((title, at) =>
        el("th", { scope: "col", class: at === 1 || at === 2 ? "num" : null }, title),
      );
      const section = el(
        "section",
        { "aria-label": `${name} figures` },
        el("h3", {}, name),
        el(
          "div",
          {
            class: "scroll",
            tabindex: "0",
            role: "group",
            "aria-label": `table of ${name} figures`,
          },
          el("table", {}, el("thead", {}, el("tr", {}, ...head)), body),
        ),
      );
      section.body = body;
      return section;
    },
    (section, [, list]) => {
      keyed(
        section.body,
        list,
        (row) => JSON.stringify([row.name, row.labels]),
        (row) => {
          const labels = Object.values(row.labels ?? {}).join(" ");
          const link = el("a", { href: toFigure(row.name, labels) }, row.name);
          const made = el(
            "tr",
            {},
            el(
              "th",
              { scope: "row" },
              link,
              labels ? el("div", { class: "muted small" }, labels) : null,
            ),
            el("td", { class: "num" }),
            el("td", { class: "num" }),
            el("td", { class: "muted" }, row.doc ?? ""),
          );
          if (known(row.limit)) made.lastChild.prepend(bar(), " ");
          return made;
        },
        (node, row) => {
          text(
            node.children[1],
            withUnit(row.value, row.unit) +
              (known(row.limit) ? ` of ${withUnit(row.limit, row.unit)}` : ""),
          );
          text(node.children[2], known(row.rate) ? rate(row.rate) : "");
          if (known(row.limit)) fill(node.lastChild.firstChild, row.value / row.limit);
        },
      );
    },
  );
}
