// Questions to the server. Each is GET and changes nothing.

const TIMEOUT = 5000;

// `kind` is "lost" if no answer came, "refused" if the server answered with an error.
export class Failure extends Error {
  constructor(kind, status, message) {
    super(message);
    this.kind = kind;
    this.status = status;
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
    throw new Failure("refused", answer.status, parsed?.error ?? body.trim().slice(0, 200));
  return parsed;
}

// The rows of info by name, over all sections. A name with labels has several rows.
export function rows(info, ...names) {
  const found = [];
  for (const name of names) {
    for (const section of Object.values(info.sections ?? {})) {
      for (const row of section) if (row.name === name) found.push(row);
    }
    if (found.length) break;
  }
  return found;
}

// The sum of a figure over its labels: { value, rate, row }, or null if the server has none.
export function figure(info, ...names) {
  const found = rows(info, ...names);
  if (!found.length) return null;
  const sum = (field) => found.reduce((all, row) => all + (row[field] ?? 0), 0);
  const hasRate = found.some((row) => typeof row.rate === "number");
  return { value: sum("value"), rate: hasRate ? sum("rate") : null, row: found[0] };
}
