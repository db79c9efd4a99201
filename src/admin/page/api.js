// Questions to the server. Each is GET and changes nothing.
import { number, some } from "./format.js";

const TIMEOUT = 5000;

// `kind` is "lost" if no answer came, "refused" if the server answered with an error.
export class Failure extends Error {
  constructor(kind, status, message, answer = null) {
    super(message);
    this.kind = kind;
    this.status = status;
    this.answer = answer;
  }
}

export async function ask(path, parameters = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== "" && value !== null && value !== undefined) query.set(name, value);
  }
  const address = `api/${path}${query.size ? `?${query}` : ""}`;
  let answer;
  let body;
  try {
    answer = await fetch(address, { signal: AbortSignal.timeout(TIMEOUT), cache: "no-store" });
    body = await answer.text();
  } catch (error) {
    throw new Failure(
      "lost",
      0,
      error.name === "TimeoutError" ? "no answer within 5 seconds" : "cannot connect",
    );
  }
  let parsed = null;
  try {
    parsed = JSON.parse(body);
  } catch {
    if (answer.ok) throw new Failure("refused", answer.status, "the answer is not JSON");
  }
  if (!answer.ok)
    throw new Failure("refused", answer.status, parsed?.error ?? body.trim().slice(0, 400), parsed);
  return parsed;
}

// The rows of a figure, one for each of its labels. Some figures are in two sections.
export function rows(info, name) {
  for (const section of Object.values(info.sections ?? {})) {
    const found = section.filter((row) => row.name === name);
    if (found.length) return found;
  }
  return [];
}

// The sum of a figure over its labels: { value, rate, row }, or null if the server has none.
export function figure(info, name) {
  const found = rows(info, name);
  if (!found.length) return null;
  const sum = (field) => found.reduce((all, row) => all + (row[field] ?? 0), 0);
  const hasRate = found.some((row) => typeof row.rate === "number");
  return { value: sum("value"), rate: hasRate ? sum("rate") : null, row: found[0] };
}

// The rules that have dropped values, those with the most first.
export const dropRules = (info) =>
  (info.drop_rules ?? [])
    .filter((rule) => rule.dropped_values)
    .sort((a, b) => b.dropped_values - a.dropped_values);

// Their names. With several, each has its number of values.
export function dropNames(info) {
  const rules = dropRules(info);
  const count = (rule) => (rules.length > 1 ? ` ${number(rule.dropped_values)}` : "");
  return some(rules.map((rule) => `[${rule.name}]${count(rule)}`)) || "rules that are gone";
}
