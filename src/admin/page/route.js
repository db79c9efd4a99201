// The part of the address after "#": what is open, filtered and sorted. It can be shared as a link.
//   #q=shop&kind=timer&sort=-value              the table
//   #series=shop.orders&type=counter            a chart over it
//   #figure=packets&labels=udp+127.0.0.1:8125   a chart of an own figure

const fields = ["q", "kind", "sort", "series", "type", "figure", "labels"];

export function read() {
  const given = new URLSearchParams(location.hash.slice(1));
  return Object.fromEntries(fields.map((name) => [name, given.get(name) ?? ""]));
}

export function link(changes) {
  const route = { ...read(), ...changes };
  const written = new URLSearchParams();
  for (const name of fields) if (route[name]) written.set(name, route[name]);
  return `#${written}`;
}

export const toSeries = (name, kind) => link({ series: name, type: kind, figure: "", labels: "" });

export const toFigure = (name, labels = "") => link({ figure: name, labels, series: "", type: "" });

export const toNothing = () => link({ series: "", type: "", figure: "", labels: "" });

// A filter is no step of the history: "back" would go through it letter by letter.
export function replace(changes) {
  history.replaceState(null, "", link(changes));
}
