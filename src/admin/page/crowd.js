// The card that names what fills the table of series. It shows only while the table is full.
import { figure } from "./api.js";
import { $, el, say, text } from "./dom.js";
import { plural } from "./format.js";
import { link } from "./route.js";

let part = null;

export function show(info) {
  const { crowd } = info;
  const box = $("crowd");
  if (crowd && box.hidden) say("The table of series is full");
  box.hidden = !crowd;
  if (!crowd) return;
  part ??= make(box);
  const { prefix, sender, percent, of, example } = crowd;
  text(part.group, prefix ?? sender);
  text(part.share, ` has ${percent} % of ${of}.`);
  text(part.from, prefix ? `${sender} sends names such as ` : "It sends names such as ");
  text(part.example, example);
  const lost = figure(info, "series_rejected")?.value;
  text(part.lost, lost ? `${plural(lost, "value")} of new names dropped since the start.` : "");
  part.rule.hidden = !prefix;
  text(part.match, `match = ${prefix}.**`);
  part.link.hidden = !prefix;
  part.link.href = link({ q: `${prefix}.` });
}

function make(box) {
  const code = (words) => el("code", {}, words);
  const sentence = (look, ...parts) => el("p", { class: `note ${look}` }, ...parts);
  const made = { match: code(""), example: code("") };
  for (const name of ["share", "from", "lost"]) made[name] = el("span");
  made.group = el("strong", { class: "name" });
  made.link = el("a", { onclick: () => $("series-title").focus() }, "Show its series");
  made.rule = el("span", {}, ", drop its names with ", made.match, " and ", code("drop = yes"));
  made.rule.append(" in a rule");
  const title = { id: "crowd-title", "data-state": "bad" };
  box.append(
    el("div", { class: "head" }, el("h2", title, "The table of series is full"), made.link),
    sentence("", made.group, made.share, " ", made.from, made.example, ". ", made.lost),
    sentence("muted", "Fix that program", made.rule, ", or raise ", code("[limits] max_series"), " or ", code("series_memory"), "."),
  );
  return made;
}
