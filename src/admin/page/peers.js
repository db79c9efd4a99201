// Where the figures go, and who sends the lines.
import { ask } from "./api.js";
import { $, bar, el, fill, keyed, text } from "./dom.js";
import { ago, bytes, duration, known, number, plural, when } from "./format.js";
import { toFigure } from "./route.js";

const good = ["up", "idle", "running"];
const waits = ["resolving", "connecting"];
const level = (state) => (good.includes(state) ? "good" : waits.includes(state) ? "mid" : "bad");

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
  text(part.state, one.state.replace("_", " "));
  part.state.dataset.state = level(one.state);
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
  if (known(one.queue_lasts))
    facts.push(one.queue_lasts < 1 ? "full" : `full in ${duration(one.queue_lasts)} at this rate`);
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
  const isDown = level(one.state) === "bad";
  const wasNeverUp = isDown && !one.reconnects && one.since - info.started < 30;
  const trouble = [];
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

export async function refreshSenders(info) {
  const box = $("senders");
  let answer;
  try {
    answer = await ask("senders", { n: 6 });
  } catch (error) {
    if (error.kind === "lost") throw error;
    return box.replaceChildren(el("p", { class: "error" }, error.message));
  }
  const all = answer.senders ?? [];
  if (!all.length) {
    return box.replaceChildren(el("p", { class: "empty" }, "No line has arrived yet."));
  }
  if (!box.body?.isConnected) {
    box.body = el("tbody");
    const head = ["Sender", "Lines", "Bad", "New series", "Last seen"];
    box.replaceChildren(
      el(
        "div",
        { class: "scroll", tabindex: "0", role: "group", "aria-label": "table of senders" },
        el(
          "table",
          {},
          el(
            "thead",
            {},
            el(
              "tr",
              {},
              ...head.map((name, at) => el("th", { scope: "col", class: at ? "num" : null }, name)),
            ),
          ),
          box.body,
        ),
      ),
    );
  }
  const rows = all.slice();
  if (answer.others?.count) rows.push({ ...answer.others, isOthers: true });
  keyed(
    box.body,
    rows,
    (one) => (one.isOthers ? "\n" : one.sender),
    makeSender,
    (row, one) => fillSender(row, one, info),
  );
}

function makeSender() {
  const cells = ["num", "num", "num", "num muted"].map((name) => el("td", { class: name }));
  const name = el("span", { class: "name" });
  const notes = el("div", { class: "small" });
  const row = el("tr", {}, el("th", { scope: "row" }, name, notes), ...cells);
  row.parts = { name, notes, cells };
  return row;
}

function fillSender({ parts: part }, one, info) {
  text(part.name, one.isOthers ? `${plural(one.count, "other")}` : one.sender);
  const notes = [];
  if (one.bad_lines && one.bad_reason) notes.push(["bad", one.bad_reason]);
  if (one.refused) notes.push(["bad", `${plural(one.refused, "value")} refused`]);
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
  const [lines, bad, made, seen] = part.cells;
  text(lines, number(one.lines));
  text(bad, number(one.bad_lines));
  bad.dataset.state = one.bad_lines ? "bad" : "";
  text(made, number(one.series));
  text(seen, known(one.last_seen) ? ago(info.now - one.last_seen) : "–");
}
