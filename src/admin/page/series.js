// The table of all series. The server filters and sorts, so a million names cost the page nothing.
import { ask, figure } from "./api.js";
import { $, attribute, el, keyed, say, text } from "./dom.js";
import { ago, bytes, number, plural, some } from "./format.js";
import { read, replace, toSeries } from "./route.js";

const STEP = 200;
const MOST = 1000;
const columns = [
  { title: "Name", sort: "name" },
  { title: "Now", sort: "value", hint: "the open interval" },
  { title: "Last interval", sort: "rate" },
  { title: "Total", sort: "samples", hide: true, hint: "since the series was created" },
  { title: "Last seen", sort: "seen" },
  { title: "Last value from", hide: true },
];

let shown = STEP;
let answer = null;
let searched = ""; // what it is the answer to
let asked = 0;
let heard = null; // the sentence that was read aloud last
let current = () => null;
let table = null;

export const rows = () => answer?.series ?? [];
export const total = () => answer?.total ?? 0;

export function begin(info) {
  current = info;
  const route = read();
  $("q").value = route.q;
  $("kind").value = route.kind;
  $("filter").addEventListener("submit", (event) => event.preventDefault());
  let wait = null;
  const changed = () => {
    clearTimeout(wait);
    wait = setTimeout(() => {
      replace({ q: $("q").value.trim(), kind: $("kind").value });
      shown = STEP;
      again();
    }, 150);
  };
  $("q").addEventListener("input", changed);
  $("kind").addEventListener("change", changed);
  // "/" goes to the filter, as in other tools.
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea");
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    $("q").focus();
  });
}

// A link or "back" may have changed the filter.
export function follow() {
  const route = read();
  if (document.activeElement !== $("q")) $("q").value = route.q;
  $("kind").value = route.kind;
  again();
}

const again = () => current() && refresh(current(), true).catch(() => {});

export async function refresh(info, isAsked = false) {
  const { q, kind, sort } = read();
  const by = sort.replace("-", "") || "name";
  const turn = (asked += 1);
  let fresh;
  try {
    fresh = await ask("series", {
      q,
      kind,
      sort: by,
      desc: sort.startsWith("-") ? 1 : "",
      n: shown,
    });
  } catch (error) {
    if (error.kind === "lost") throw error;
    $("table").replaceChildren(
      el("p", { class: "error" }, `The series cannot be shown: ${error.message}`),
    );
    table = null;
    return;
  }
  if (turn !== asked) return; // a newer filter was typed meanwhile
  answer = fresh;
  searched = q;
  show(info, isAsked, by, sort.startsWith("-"));
}

function show(info, isAsked, by, isDown) {
  const { series, matched } = answer;
  const all = answer.total;
  const sentence =
    matched === all && series.length === all
      ? plural(all, "series", "series")
      : `${number(series.length)} of ${number(matched)} shown` +
        (matched === all ? "" : `, ${number(all)} in all`);
  text($("shown"), sentence);
  if (isAsked && sentence !== heard) say(sentence);
  heard = sentence;
  showKept(info);
  showDropped(info);
  if (!series.length) {
    table = null;
    return $("table").replaceChildren(
      el(
        "p",
        { class: "empty" },
        all || answer.dropped_by
          ? "No series matches. A filter is a part of the name, or a pattern with * and ?."
          : dropsAll(info)
            ? "No series: rules drop what arrives. See Loss."
            : "No series yet. A first sample makes one.",
      ),
    );
  }
  table ??= make();
  for (const { sort, cell, button } of table.heads) {
    if (!sort) continue;
    attribute(cell, "aria-sort", sort === by ? (isDown ? "descending" : "ascending") : "none");
    attribute(button, "data-sorted", sort === by ? (isDown ? "down" : "up") : null);
  }
  keyed(table.body, series, (one) => `${one.kind} ${one.name}`, makeRow, fillRow);
  const isMore = series.length < matched && shown < MOST;
  table.more.hidden = !isMore;
  text(table.more, `Show ${number(Math.min(MOST, matched))}`);
  table.capped.hidden = !(series.length < matched && shown >= MOST);
}

// Whoever looks for a name that a rule drops sees which rule it is.
function showDropped(info) {
  const by = answer.dropped_by;
  $("dropped").hidden = !by;
  if (by) text($("dropped"), dropped(by, searched, info));
}

export function dropped(by, name, info) {
  const patterns = info?.drop_rules?.find((rule) => rule.name === by)?.match;
  return (
    `The rule [${by}] drops ${name}: it has drop = yes` +
    (patterns ? ` and match = ${some(patterns)}.` : ".")
  );
}

const dropsAll = (info) => (figure(info, "samples_dropped_by_rule")?.value ?? 0) > 0;

function make() {
  const body = el("tbody");
  const heads = columns.map((column) => {
    const button = column.sort
      ? el(
          "button",
          { type: "button", title: column.hint, onclick: () => sortBy(column.sort) },
          column.title,
        )
      : column.title;
    const cell = el(
      "th",
      { scope: "col", class: classOf(column), "aria-sort": column.sort ? "none" : null },
      button,
    );
    return { ...column, cell, button };
  });
  const more = el("button", {
    type: "button",
    class: "button",
    hidden: true,
    onclick: () => {
      shown = MOST;
      again();
    },
  });
  const capped = el(
    "p",
    { class: "muted small", hidden: true },
    "At most 1,000 are shown. Filter to see others.",
  );
  $("table").replaceChildren(
    el(
      "div",
      { class: "scroll", tabindex: "0", role: "group", "aria-label": "table of series" },
      el(
        "table",
        { class: "series" },
        el("thead", {}, el("tr", {}, ...heads.map((head) => head.cell))),
        body,
      ),
    ),
    more,
    capped,
  );
  return { body, heads, more, capped };
}

const classOf = (column) =>
  [column.title === "Name" ? "" : "num", column.hide ? "wide" : ""].filter(Boolean).join(" ") ||
  null;

// The same head again turns the order round. Figures begin with the largest.
function sortBy(sort) {
  const now = read().sort || "name";
  const next =
    now === sort ? `-${sort}` : now === `-${sort}` ? sort : sort === "name" ? sort : `-${sort}`;
  replace({ sort: next === "name" ? "" : next });
  again();
}

// The tags after the first ";" are shown weaker than the name.
export function named(parent, name) {
  const at = name.indexOf(";");
  const [own, tags] = at < 0 ? [name, ""] : [name.slice(0, at), name.slice(at)];
  parent.replaceChildren(own, ...(tags ? [el("span", { class: "tags" }, tags)] : []));
}

function makeRow(one) {
  const link = el("a", {});
  named(link, one.name);
  const cells = columns.slice(1).map((column) => el("td", { class: classOf(column) }));
  cells[3].classList.add("muted");
  cells[4].classList.add("muted");
  return el(
    "tr",
    {},
    el(
      "th",
      { scope: "row" },
      el("div", {}, el("span", { class: "kind", "data-kind": one.kind }, one.kind), link),
    ),
    ...cells,
  );
}

function fillRow(row, one) {
  const [name, now, last, sum, seen, sender] = row.children;
  attribute(name.firstChild.lastChild, "href", toSeries(one.name, one.kind));
  text(now, number(one.value));
  text(last, number(one.last));
  text(sum, number(one.total));
  text(seen, ago(one.idle));
  text(sender, one.sender ?? "–");
}

function showKept({ history }) {
  if (!history) return text($("kept"), "");
  if (!history.limit) return text($("kept"), "No charts: [admin] history_memory is 0.");
  const used =
    `History: ${plural(history.series, "series", "series")} ` +
    `need ${bytes(history.reserved)} of ${bytes(history.limit)} once they have all their points`;
  text(
    $("kept"),
    history.not_kept
      ? `${used}. ${number(history.not_kept)} more do not fit and have no chart; ` +
          "those with the most samples are kept. A larger [admin] history_memory keeps more."
      : `${used}.`,
  );
}
