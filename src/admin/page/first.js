// What a first visitor sees: the command that sends a counter, and then that counter as it moves.
import { figure } from "./api.js";
import { $, el, text } from "./dom.js";
import { number, plural } from "./format.js";
import { toSeries } from "./route.js";

let part = null; // made once there was nothing to show
let isClosed = false;

export function show(info, rows, total) {
  const box = $("first");
  const lines = figure(info, "metrics_received")?.value ?? 0;
  if (isClosed || (!part && (total > 0 || lines > 0))) return;
  part ??= make(box, info);
  box.hidden = false;
  const one = rows.find((row) => row.name === "hello") ?? rows[0];
  part.waits.hidden = Boolean(one);
  part.came.hidden = !one;
  text(
    part.state,
    lines
      ? `${plural(lines, "line")} came, and made no series. See Loss and Bad lines above.`
      : "Waiting for the first line. It shows here within a second.",
  );
  if (!one) return;
  text(part.name, one.name);
  part.name.href = toSeries(one.name, one.kind);
  text(part.value, number(one.value));
  text(
    part.last,
    typeof one.last === "number"
      ? `${number(one.last)} in the last interval. The count begins again at 0 with each flush.`
      : "in the open interval. Send it again, and it moves.",
  );
}

function make(box, info) {
  const command = sends(info);
  const code = el("code", { tabindex: "0" }, command);
  const button = el(
    "button",
    { type: "button", class: "button strong", onclick: () => copy(code, button) },
    "Copy",
  );
  const state = el("span");
  const made = {
    state,
    waits: el(
      "p",
      { class: "muted" },
      el("span", { class: "pulse", "aria-hidden": "true" }),
      state,
    ),
    came: el("div", { class: "came", hidden: true, role: "status" }),
    name: el("a", { class: "name" }),
    value: el("strong", { class: "value" }),
    last: el("span", { class: "muted" }),
  };
  made.came.append(made.name, made.value, made.last);
  const close = el(
    "button",
    {
      type: "button",
      class: "button",
      onclick: () => {
        isClosed = true;
        box.hidden = true;
      },
    },
    "Close",
  );
  box.append(
    el("div", { class: "head" }, el("h2", { id: "first-title" }, "Send a first counter"), close),
    command
      ? el("div", { class: "command" }, code, button)
      : el("p", {}, "No listener is on. Set bind in [udp] or [tcp]."),
    command
      ? el(
          "p",
          { class: "muted small" },
          "nc is in Debian's netcat-openbsd. Any StatsD client works as well.",
        )
      : null,
    made.waits,
    made.came,
  );
  return made;
}

// The command for a listener of this server. A wildcard is reached under the name of this page.
export function sends(info) {
  const line = 'echo "hello:1|c" | nc ';
  const listeners = (info.listeners ?? []).map((one) => one.address.split(" "));
  for (const [kind, option] of [
    ["udp", "-u -w1"],
    ["tcp", "-N"],
  ]) {
    const found = listeners.find(([name]) => name === kind);
    if (!found) continue;
    const at = found[1].lastIndexOf(":");
    let host = found[1].slice(0, at).replace(/[[\]]/g, "");
    if (["::", "0.0.0.0", "*"].includes(host)) host = here(host);
    return `${line}${option} ${host} ${found[1].slice(at + 1)}`;
  }
  const unix = listeners.find(([name]) => name === "unix");
  if (!unix) return null;
  const path = unix.slice(2).join(" ");
  return `${line}${unix[1] === "datagram" ? "-uU -w1" : "-NU"} ${path}`;
}

// On this machine, localhost leads to a listener of IPv6 alone, and to one of both families.
function here(any) {
  const host = location.hostname.replace(/[[\]]/g, "");
  if (!["localhost", "::1", "127.0.0.1", ""].includes(host)) return host;
  return any === "::" ? "localhost" : "127.0.0.1";
}

// The clipboard is closed to pages without https, but for localhost. Then the text is selected.
async function copy(code, button) {
  try {
    await navigator.clipboard.writeText(code.textContent);
    text(button, "Copied");
  } catch {
    getSelection().selectAllChildren(code);
    text(button, "Selected: press Ctrl-C");
  }
  setTimeout(() => text(button, "Copy"), 3000);
}
