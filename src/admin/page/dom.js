// Elements without innerHTML: text from clients is only ever set as text.

export const $ = (id) => document.getElementById(id);

// el("p", { class: "muted" }, "text", node, …). A property that starts with "on" is a listener.
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export function svg(tag, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

// Changes a text only if it differs, so that a selection and a screen reader's place survive.
export function text(node, value) {
  const wanted = String(value);
  if (node.textContent !== wanted) node.textContent = wanted;
}

export function attribute(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

// Keeps one child for each item. Children are moved and changed, not made again, so that the focus
// stays where it is. `make(item)` returns a node; `update(node, item)` fills it. Items with the same
// key are told apart by their place, or one of them would lose its node.
export function keyed(parent, items, key, make, update) {
  const old = (parent.byKey ??= new Map());
  const rows = new Map();
  let place = parent.firstChild;
  for (const item of items) {
    let id = key(item);
    if (rows.has(id)) id = JSON.stringify([id, rows.size]);
    const node = old.get(id) ?? make(item);
    old.delete(id);
    rows.set(id, node);
    update(node, item);
    if (node === place) place = place.nextSibling;
    else parent.insertBefore(node, place);
  }
  for (const node of old.values()) node.remove();
  parent.byKey = rows;
}

// A sentence for screen readers. The same sentence twice is read once.
export const say = (sentence) => text($("says"), sentence);

// A line through the values of a minute or an hour, for the eye alone.
export function spark(node, values) {
  const known = values.filter((value) => value !== null);
  const high = Math.max(...known, 0) || 1;
  const step = 100 / Math.max(values.length - 1, 1);
  const points = [];
  values.forEach((value, at) => {
    if (value !== null)
      points.push(`${(at * step).toFixed(1)},${(28 - (26 * value) / high).toFixed(1)}`);
  });
  let [area, line] = node.children;
  if (!line) {
    area = svg("polygon", { class: "area" });
    line = svg("polyline", { class: "line" });
    node.append(area, line);
  }
  const drawn = points.length > 1;
  line.setAttribute("points", drawn ? points.join(" ") : "");
  const [first, last] = [points[0], points.at(-1)].map((point) => point?.split(",")[0]);
  area.setAttribute("points", drawn ? `${first},30 ${points.join(" ")} ${last},30` : "");
}

export const sparkBox = () =>
  svg("svg", {
    class: "spark",
    viewBox: "0 0 100 30",
    preserveAspectRatio: "none",
    "aria-hidden": "true",
  });

// How full something is. The text beside it has the same number for screen readers.
export function bar() {
  return el("span", { class: "meter", "aria-hidden": "true" }, el("span"));
}

export function fill(node, share) {
  const part = Math.max(0, Math.min(1, share || 0));
  node.firstChild.style.width = `${(part * 100).toFixed(1)}%`;
  node.dataset.level = part >= 0.9 ? "high" : part >= 0.5 ? "mid" : "low";
}
