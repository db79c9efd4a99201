// Where the figures go, and who sends the lines.
import { ask, dropNames, figure } from "./api.js";
import { $, attribute, bar, el, fill, keyed, text } from "./dom.js";
import { ago, bytes, duration, known, number, plural, rate, when } from "./format.js";
import { toFigure } from "./route.js";

const good = ["up", "idle", "running"];
const waits = ["resolving", "connecting"];
// A command that has failed is idle until the next flush.
const isFailing = (one) => one.kind === "exec" && !one.up;

function level(one) {
  if (good.includes(one.state)) return isFailing(one) ? "bad" : "good";
  return waits.includes(one.state) ? "mid" : "bad";
}

export function showDestinations(info) {
  const box = $("destinations");
  const all = info.destinations ?? [];
  if (!all.length) {
    box.byKey = undefined;
    return box.replaceChildren(
      el(
        "p",
        { class: "empty" },
        "None. The figures are shown here and in /metrics, and are sent nowhere.",
      ),
    );
  }
  if (!box.list?.isConnected) {
    box.list = el("ul", { class: "plain" });
    box.replaceChildren(box.list);
  }
  keyed(
    box.list,
    all,
    (one) => one.name,
    makeDestination,
    (node, one) => fillDestination(node, one, info),
  );
}

function makeDestination() {
  const part = {
    name: el("a", { class: "name" }),
    state: el("span", { class: "pill" }),
    since: el("span", { class: "muted" }),
    address: el("span", { class: "muted right" }),
    queue: bar(),
    facts: el("p", { class: "facts" }),
    error: el("p", { class: "error small" }),
    hint: el("p", { class: "muted small" }),
  };
  const item = el(
    "li",
    { class: "destination" },
    el("h3", {}, part.name, " ", part.state, " ", part.since, part.address),
    part.queue,
    part.facts,
    part.error,
    part.hint,
  );
  item.parts = part;
  return item;
}

function fillDestination({ parts: part }, one, info) {
  text(part.name, one.name);
  part.name.href = toFigure("queue_bytes", one.name);
  text(part.state, isFailing(one) ? "failing" : one.state.replace("_", " "));
  part.state.dataset.state = level(one);
  text(
    part.since,
    known(one.since) ? `since ${when(one.since)} (${duration(info.now - one.since)})` : "",
  );
  text(part.address, one.address ?? "");
  fill(part.queue, one.queue_bytes / one.queue_limit);
  const facts = [
    one.queue_limit
      ? `queue ${bytes(one.queue_bytes)} of ${bytes(one.queue_limit)}`
      : `queue ${bytes(one.queue_bytes)}`,
  ];
  const isDown = level(one) === "bad";
  if (known(one.queue_lasts) && one.queue_lasts < 1) facts.push("full");
  else if (known(one.queue_lasts)) {
    const lasts = duration(one.queue_lasts);
    facts.push(isDown ? `full in ${lasts} at this rate` : `would last ${lasts} in an outage`);
  }
  if (one.spool_bytes) facts.push(`spool ${bytes(one.spool_bytes)}`);
  for (const [field, phrase] of [
    ["in_doubt", "delivery unknown"],
    ["resent_lines", "sent again"],
  ]) {
    if (one[field]) facts.push(`${plural(one[field], "line")} ${phrase}`);
  }
  if (one.points_refused) facts.push(`${plural(one.points_refused, "point")} refused`);
  if (one.reconnects) facts.push(plural(one.reconnects, "reconnect"));
  facts.push(one.dropped_lines ? "" : "nothing dropped");
  keyed(
    part.facts,
    facts.filter(Boolean),
    (fact) => fact,
    (fact) => el("span", {}, fact),
    () => {},
  );
  const wasNeverUp = isDown && !one.reconnects && one.since - info.started < 30;
  const trouble = [];
  if (one.state === "stalled")
    trouble.push(`connected, but for ${duration(info.now - one.since)} it has read nothing`);
  if (one.dropped_lines) trouble.push(`${plural(one.dropped_lines, "line")} dropped`);
  if (one.last_error)
    trouble.push(isDown ? `${one.last_error}; tried again.` : `last error: ${one.last_error}`);
  text(part.error, trouble.join(" · "));
  const isNoGraphite = wasNeverUp && one.kind === "carbon" && !one.dropped_lines;
  text(
    part.hint,
    isNoGraphite ? "Normal without Graphite: an empty [carbon] address switches it off." : "",
  );
  part.error.classList.toggle("muted", !isDown && !one.dropped_lines);
}

const FEW = 6;
const ALL = 1000;
const columns = [
  { title: "Sender" },
  { title: "Lines", sort: "lines" },
  { title: "A second", hint: "in the last seconds" },
  { title: "Bad", sort: "bad", hint: "lines and values that were refused" },
  { title: "New series", sort: "series", hint: "series that its samples have created" },
  { title: "Last seen", sort: "seen" },
];
let order = "lines";
let isUp = false; // the smallest first
let shown = FEW;
let heads = [];
let asked = 0;
const seen = new Map(); // for rates: the lines of each sender, as they were some seconds ago

export async function refreshSenders(info) {
  const box = $("senders");
  const turn = (asked += 1);
  let answer;
  try {
    answer = await ask("senders", { n: shown, sort: order, desc: isUp ? 0 : "" });
  } catch (error) {
    if (error.kind === "lost") throw error;
    return box.replaceChildren(el("p", { class: "error" }, error.message));
  }
  if (turn !== asked) return; // another order was chosen meanwhile
  const all = answer.senders ?? [];
  const others = answer.others?.count ?? 0;
  if (!all.length && !others) {
    return box.replaceChildren(el("p", { class: "empty" }, "No line has arrived yet."));
  }
  if (!box.body?.isConnected) makeSenders(box, () => refreshSenders(info).catch(() => {}));
  for (const { sort, cell, button } of heads) {
    if (!sort) continue;
    const is = sort === order;
    attribute(cell, "aria-sort", is ? (isUp ? "ascending" : "descending") : "none");
    attribute(button, "data-sorted", is ? (isUp ? "up" : "down") : null);
  }
  const rows = all.slice();
  if (others) rows.push({ ...answer.others, isOthers: true });
  keyed(
    box.body,
    rows,
    keyOf,
    makeSender,
    (row, one) => fillSender(row, one, info),
  );
  box.more.hidden = shown === FEW && !others;
  text(box.more, shown === FEW ? `Show all ${number(all.length + others)}` : "Show fewer");
}

// A process that changes its user is another sender.
const keyOf = (one) => (one.isOthers ? "\n" : `${one.sender} ${one.user ?? ""}`);

function makeSenders(box, again) {
  box.body = el("tbody");
  heads = columns.map((column, at) => {
    const choose = () => {
      isUp = order === column.sort && !isUp;
      order = column.sort;
      again();
    };
    const button = column.sort
      ? el("button", { type: "button", title: column.hint, onclick: choose }, column.title)
      : column.title;
    const cell = el("th", { scope: "col", class: at ? "num" : null, title: column.hint }, button);
    return { ...column, cell, button };
  });
  box.more = el("button", {
    type: "button",
    class: "button",
    onclick: () => {
      shown = shown === FEW ? ALL : FEW;
      again();
    },
  });
  box.replaceChildren(
    el(
      "div",
      { class: "scroll", tabindex: "0", role: "group", "aria-label": "table of senders" },
      el(
        "table",
        {},
        el("thead", {}, el("tr", {}, ...heads.map((head) => head.cell))),
        box.body,
      ),
    ),
    box.more,
  );
}

// The lines a second of a sender since it was first shown, or over the last ten seconds.
function rateOf(one, info) {
  if (seen.size > 2 * ALL) seen.clear(); // of senders that come and go
  const points = seen.get(keyOf(one)) ?? [];
  seen.set(keyOf(one), points);
  if (points.length && one.lines < points.at(-1).lines) points.length = 0; // a restart
  if (points.at(-1)?.t !== info.now) points.push({ t: info.now, lines: one.lines });
  while (points.length > 2 && info.now - points[1].t >= 10) points.shift();
  const [first] = points;
  return info.now - first.t >= 2 ? (one.lines - first.lines) / (info.now - first.t) : null;
}

function makeSender() {
  const cells = ["num", "num", "num", "num", "num muted"].map((name) => el("td", { class: name }));
  const name = el("span", { class: "name" });
  const notes = el("div", { class: "small" });
  const row = el("tr", {}, el("th", { scope: "row" }, name, notes), ...cells);
  row.parts = { name, notes, cells };
  return row;
}

function fillSender({ parts: part }, one, info) {
  text(part.name, one.isOthers ? `${plural(one.count, "other")}` : one.sender);
  const notes = [];
  if (known(one.user))
    notes.push(["", one.process ? `${one.process}, user ${one.user}` : `user ${one.user}`]);
  if (one.bad_lines && one.bad_reason) notes.push(["bad", one.bad_reason]);
  const refused = refusal(one, info);
  if (refused) notes.push(refused);
  if (one.reported) {
    const { sent, received, lost } = one.reported;
    const share = sent
      ? ` (${((100 * lost) / sent).toFixed(lost && lost / sent < 0.001 ? 3 : 1)} %)`
      : "";
    notes.push([
      lost ? "bad" : "good",
      `its client sent ${number(sent)}, received ${number(received)}, lost ${number(lost)}${share}`,
    ]);
  }
  keyed(
    part.notes,
    notes,
    ([, note]) => note,
    () => el("div"),
    (node, [state, note]) => {
      node.dataset.state = state;
      text(node, note);
    },
  );
  const [lines, each, bad, made, last] = part.cells;
  text(lines, number(one.lines));
  text(each, one.isOthers ? "" : rate(rateOf(one, info)));
  text(bad, number(one.bad_lines));
  bad.dataset.state = one.bad_lines ? "bad" : "";
  text(made, number(one.series));
  text(last, known(one.last_seen) ? ago(info.now - one.last_seen) : "–");
}

// Valid values that were not taken, and why. If the server does not know the reason for this sender,
// it is one of those that the loss figures show.
function refusal(one, info) {
  if (!one.refused) return null;
  const isPlain = (reason) => /^dropped by/.test(reason);
  const reasons = one.refused_reason
    ? [one.refused_reason]
    : [
        ["samples_dropped_by_rule", `dropped by ${dropNames(info)}`],
        ["series_rejected", "the table of series is full"],
        ["samples_dropped_by_limit", "timer_memory or passthrough_memory is used up"],
      ]
        .filter(([name]) => figure(info, name)?.value)
        .map(([, reason]) => reason);
  const why = reasons.length ? `: ${reasons.join(", or ")}` : "";
  return reasons.length && reasons.every(isPlain)
    ? ["mid", `${plural(one.refused, "value")} ${reasons[0]}`]
    : ["bad", `${plural(one.refused, "value")} refused${why}`];
}
