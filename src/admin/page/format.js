// Numbers, sizes and times as people read them.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const few = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

export const known = (value) => typeof value === "number" && Number.isFinite(value);

export function number(value) {
  if (!known(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1e15) return value.toExponential(3);
  return Number.isInteger(value) || size >= 1000 ? whole.format(value) : few.format(value);
}

// For axes and tiles: 12.3K.
export const compact = (value) =>
  !known(value) ? "–" : Math.abs(value) < 10000 ? number(value) : short.format(value);

export const rate = (value) =>
  known(value) ? compact(value < 10 ? Math.round(value * 100) / 100 : Math.round(value)) : "–";

export function bytes(value) {
  if (!known(value)) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (Math.abs(value) >= 1024 && at < units.length - 1) {
    value /= 1024;
    at += 1;
  }
  return `${at === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)}\u00a0${units[at]}`;
}

// 75 → "1 min 15 s". Two units at most.
export function duration(seconds) {
  if (!known(seconds)) return "–";
  if (seconds > 0 && seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  const parts = [];
  let rest = Math.max(0, Math.round(seconds));
  for (const [unit, size] of [
    ["d", 86400],
    ["h", 3600],
    ["min", 60],
    ["s", 1],
  ]) {
    const count = Math.floor(rest / size);
    rest %= size;
    if (count > 0 || (unit === "s" && parts.length === 0)) parts.push(`${count} ${unit}`);
    else if (parts.length > 0) break;
    if (parts.length === 2) break;
  }
  return parts.join(" ");
}

export const ago = (seconds) =>
  !known(seconds) ? "never" : seconds < 2 ? "now" : `${duration(seconds)} ago`;

const clocked = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});
const dated = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
});
export const dayClock = (seconds) => dated.format(seconds * 1000);
export const clock = (seconds) => clocked.format(seconds * 1000);
// The time, with the date if it is not of the last 20 hours.
export const when = (seconds) =>
  Date.now() / 1000 - seconds < 72000 ? clock(seconds) : dated.format(seconds * 1000);

export const plural = (count, one, many = `${one}s`) =>
  `${number(count)} ${count === 1 ? one : many}`;

export const percent = (share) =>
  `${share > 0 && share < 0.01 ? "under 1" : Math.round(share * 100)} %`;

// The first three of a list, and how many more there are.
export const some = (list) =>
  list.slice(0, 3).join(", ") + (list.length > 3 ? ` and ${list.length - 3} more` : "");

// A figure with its unit, as the table of figures names units.
export function withUnit(value, unit) {
  if (unit === "bytes") return bytes(value);
  if (unit === "seconds" || unit === "s") return duration(value);
  if (unit === "ms" || unit === "milliseconds") return `${number(value)} ms`;
  return number(value);
}
