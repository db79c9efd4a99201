// The page at "/" of the admin port. It asks for the figures each second while it is visible:
//   page.js    the clock: what is asked when, the server lost and found
//   glance.js  tiles, loss, bad lines        peers.js   destinations and senders
//   series.js  the table of series           detail.js  one series or figure: chart.js, who.js
//   first.js   what a first visitor sees     route.js   links into the page
//   crowd.js   whose names fill the table
import { ask, figure } from "./api.js";
import { $, el, say, text } from "./dom.js";
import { clock, duration } from "./format.js";
import * as crowd from "./crowd.js";
import * as glance from "./glance.js";
import * as peers from "./peers.js";
import * as series from "./series.js";
import * as detail from "./detail.js";
import * as first from "./first.js";

const SECOND = 1000;
// The table is asked for each second while it is small, else at each flush: it costs a walk.
const SMALL_TABLE = 2000;

let info = null;
let flushed = null;
let restarted = null;
let lost = null;
let timer = null;
let turns = 0;

async function turn() {
  clearTimeout(timer);
  const began = performance.now();
  try {
    const answer = await ask("info");
    if (info && answer.started !== info.started) restart(answer);
    info = answer;
    found();
    const flush = figure(info, "flushes")?.value;
    const isFlush = flush !== flushed;
    flushed = flush;
    await Promise.all(parts(isFlush));
  } catch (error) {
    if (!error.kind) throw error;
    lose(error);
  } finally {
    turns += 1;
    const spent = performance.now() - began;
    if (!document.hidden) timer = setTimeout(turn, Math.max(200, SECOND - spent));
  }
}

// A part that fails shows that itself; the others go on.
function parts(isFlush) {
  glance.show(info);
  crowd.show(info);
  peers.showDestinations(info);
  header(info);
  const jobs = [detail.refresh(info, isFlush)];
  if (isFlush) jobs.push(glance.refreshSparks(info));
  if (isFlush || turns % 2 === 0) jobs.push(peers.refreshSenders(info));
  if (isFlush || series.total() <= SMALL_TABLE) {
    jobs.push(series.refresh(info).then(() => first.show(info, series.rows(), series.total())));
  }
  return jobs;
}

function restart(answer) {
  restarted = answer.started;
  glance.forget();
}

function header(now) {
  text($("who"), now.host ?? "");
  document.title = `${now.lost_lines ? "● " : ""}statsd ${now.host ?? ""}`;
  const health = $("health");
  health.hidden = false;
  text(health, `health: ${now.health}`);
  health.dataset.state = now.health === "up" ? "good" : "bad";
  const phase = now.now - (now.last_flush ?? Math.floor(now.now / now.interval) * now.interval);
  const part = Math.max(0, Math.min(1, phase / now.interval));
  $("tick").firstElementChild.style.width = `${(part * 100).toFixed(1)}%`;
  text(
    $("interval"),
    `up ${duration(now.now - now.started)} · a flush every ${duration(now.interval)}`,
  );
  text(
    $("version"),
    `statsd ${now.version} · process ${now.pid} · ${now.config ?? "no configuration file"}`,
  );
}

function lose(error) {
  lost ??= { since: Date.now(), tries: 0 };
  lost.tries += 1;
  // One missed answer is no outage: a laptop that wakes up misses one.
  if (lost.tries < 2 && error.kind === "lost" && info) return;
  document.body.dataset.lost = "";
  const gone = (Date.now() - lost.since) / 1000;
  const [title, hint] = explain(error);
  const old = info ? ` The figures are those of ${clock(info.now)}.` : "";
  banner(
    "bad",
    title,
    `since ${clock(lost.since / 1000)} (${duration(gone)}). ${hint}.${old} Asking again each second.`,
  );
  if (!lost.isSaid) say(title);
  lost.isSaid = true;
}

function explain(error) {
  if (error.kind === "lost")
    return [
      "The server does not answer",
      `It is stopped, or the network is down: ${error.message}`,
    ];
  if (error.status === 403)
    return ["The server refuses this page (403)", error.message.replace(/\.$/, "")];
  return [`The server answers with an error (${error.status})`, error.message];
}

function found() {
  const note = $("banner");
  delete document.body.dataset.lost;
  if (lost && note.firstChild) {
    const gone = duration((Date.now() - lost.since) / 1000);
    const again = restarted
      ? `The server restarted at ${clock(restarted)}`
      : "The server answers again";
    banner("good", again, `There was no answer for ${gone}.`);
    say(again);
    setTimeout(() => {
      if (!lost) note.replaceChildren();
    }, 8 * SECOND);
  }
  restarted = null;
  lost = null;
}

function banner(state, title, rest) {
  const note = $("banner");
  note.dataset.state = state;
  if (!note.firstChild) note.append(el("strong"), el("span"));
  text(note.firstChild, title);
  text(note.lastChild, rest);
}

function figures() {
  if (!$("figures").open || !info) return;
  glance.showAll($("figure-list"), info);
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) clearTimeout(timer);
  else turn();
});
$("figures").addEventListener("toggle", figures);
setInterval(figures, 2 * SECOND);
addEventListener("hashchange", () => {
  detail.follow(info);
  series.follow(info);
});
series.begin(() => info);
detail.begin();
turn();
