// Who sends a series: reads its lines for some seconds, and compares the senders.
import { el, keyed, say, text } from "./dom.js";
import { number, plural } from "./format.js";

const SECONDS = 10;
const FAR = 4; // a mean, or a number of lines, is far from the usual by this factor
const COMPARED = 3; // the fewest senders that are compared
const ROWS = 50;
const titles = ["Sender", "Lines", "Lowest", "Highest", "Its last line"];

// Returns { root, end() }.
export function who(series) {
  const button = el("button", { type: "button", class: "button", onclick: () => begin() });
  const state = el("p", { class: "muted small" });
  const body = el("tbody");
  const head = titles.map((title, at) =>
    el("th", { scope: "col", class: at > 0 && at < 4 ? "num" : null }, title),
  );
  const table = el(
    "div",
    { class: "scroll", tabindex: "0", role: "group", "aria-label": "senders of it", hidden: true },
    el("table", {}, el("thead", {}, el("tr", {}, ...head)), body),
  );
  const root = el("section", { class: "who" }, el("h3", {}, "Who sends it"), button, state, table);
  text(button, `Watch its lines for ${SECONDS} s`);
  let stop = null;

  async function begin() {
    stop?.abort();
    const mine = (stop = new AbortController());
    const timer = setTimeout(() => mine.abort(), SECONDS * 1000);
    const began = performance.now();
    const senders = new Map();
    const found = { lines: 0, missed: 0, trouble: null };
    const shows = setInterval(() => show(senders, found, began), 300);
    text(button, "Begin again");
    show(senders, found, began);
    try {
      await read(series, mine.signal, (line) => add(senders, found, line, series));
      found.trouble = "The server has ended the answer.";
    } catch (error) {
      if (!mine.signal.aborted) found.trouble = error.message;
    }
    clearTimeout(timer);
    clearInterval(shows);
    if (mine !== stop) return;
    show(senders, found, began, true);
    say(`${plural(senders.size, "sender")} of ${plural(found.lines, "line")}`);
  }

  function show(senders, found, began, isOver = false) {
    const spent = Math.min(SECONDS, Math.round((performance.now() - began) / 1000));
    const all = compared([...senders.values()]);
    const some = `${plural(found.lines, "line")} of ${plural(all.length, "sender")}`;
    const missed = found.missed ? `; ${plural(found.missed, "more line")} left out` : "";
    const none = isOver ? "No line of it came" : "No line of it yet";
    text(
      state,
      `${found.lines ? some : none} in ${spent} s${missed}. ${found.trouble ?? ""}` +
        (all.length > ROWS ? `The first ${ROWS} are shown.` : ""),
    );
    table.hidden = !all.length;
    keyed(body, all.slice(0, ROWS), (one) => one.sender, makeRow, fillRow);
  }

  return { root, end: () => stop?.abort() };
}

// Reads the lines of the answer until `signal` ends it.
async function read(series, signal, take) {
  const [name] = series.split(";");
  let pattern = name.replace(/[^\x21-\x7e]|[;,#"]/g, "*"); // what no pattern may have
  // A longer pattern with wildcards is refused. A shorter one finds more series, left out in add().
  if (pattern.length > 128 && /[*?]/.test(pattern)) pattern = `${pattern.slice(0, 120)}**`;
  if (pattern === "bad" || pattern === "from") pattern = `?${pattern.slice(1)}`;
  const query = new URLSearchParams({ name: pattern });
  const answer = await fetch(`api/watch?${query}`, { signal, cache: "no-store" });
  if (!answer.ok) throw new Error((await answer.json()).error);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    lines.forEach(take);
  }
}

const quoted = '"((?:[^"\\\\]|\\\\.)*)"';
const shape = new RegExp(
  `^\\S+ (.*?) line=${quoted}(?:\\.{3})? verdict=${quoted}(?: series=${quoted})?`,
);
const plain = (escaped) => escaped.replace(/\\(["\\])/g, "$1");

function add(senders, found, line, series) {
  found.missed += Number(line.match(/^missed=(\d+)/)?.[1] ?? 0);
  const [, address, escaped, verdict, name] = line.match(shape) ?? [];
  if (address === undefined) return;
  // A name with bytes that are no text is shown in another way here than elsewhere.
  if (name !== undefined && plain(name) !== series && !/\\x|\ufffd/.test(name + series)) return;
  const isProcess = address.startsWith("unix"); // with its number, which is no port
  const sender = isProcess ? address : address.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
  const one = senders.get(sender) ?? { sender, lines: 0, sum: 0, values: 0, rates: new Map() };
  senders.set(sender, one);
  const sent = plain(escaped);
  one.lines += 1;
  one.last = sent;
  one.verdict = verdict.startsWith("accepted") ? "" : plain(verdict);
  const rate = sent.match(/\|@([\d.eE+-]+)/)?.[1] ?? "1";
  one.rates.set(rate, (one.rates.get(rate) ?? 0) + 1);
  for (const [, digits] of sent.matchAll(/:([+-]?[\d.]+(?:[eE][+-]?\d+)?)(?=[:|])/g)) {
    const value = Number(digits);
    one.low = Math.min(one.low ?? value, value);
    one.high = Math.max(one.high ?? value, value);
    one.sum += value;
    one.values += 1;
  }
  found.lines += 1;
}

// Notes in what a sender differs from most others. These come first, then those with most lines.
function compared(all) {
  const middle = (numbers) => numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
  const isFar = (value, usual) =>
    Math.abs(value) > FAR * Math.abs(usual) || Math.abs(value) * FAR < Math.abs(usual);
  const mean = (one) => one.sum / one.values;
  const commonest = (one) => [...one.rates].sort((a, b) => b[1] - a[1])[0][0];
  const lines = middle(all.map((one) => one.lines));
  const means = middle(all.filter((one) => one.values).map(mean));
  for (const one of all) {
    const rate = commonest(one);
    const same = all.filter((other) => commonest(other) === rate).length;
    one.differs = [
      one.verdict,
      ...(all.length < COMPARED
        ? []
        : [
            one.values && isFar(mean(one), means) ? "other values than most senders" : "",
            isFar(one.lines, lines)
              ? `${one.lines < lines ? "fewer" : "more"} lines than most`
              : "",
            same * COMPARED <= all.length
              ? rate === "1"
                ? "no sample rate (@), unlike most"
                : `the sample rate @${rate}, unlike most`
              : "",
          ]),
    ].filter(Boolean);
  }
  return all.sort((a, b) => b.differs.length - a.differs.length || b.lines - a.lines);
}

function makeRow() {
  const name = el("span", { class: "name" });
  const notes = el("div", { class: "small", "data-state": "mid" });
  const numbers = [1, 2, 3].map(() => el("td", { class: "num" }));
  const last = el("code");
  const row = el("tr", {}, el("th", { scope: "row" }, name, notes), ...numbers, el("td", {}, last));
  row.parts = { name, notes, numbers, last };
  return row;
}

function fillRow({ parts: { name, notes, numbers, last } }, one) {
  text(name, one.sender);
  text(notes, one.differs.join("; "));
  [one.lines, one.low, one.high].forEach((value, at) => text(numbers[at], number(value)));
  text(last, one.last);
}
