// Charts over the remembered history, drawn by uPlot.
import { el, text } from "./dom.js";
import { clock, compact, dayClock, number } from "./format.js";

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const words = { rate: "a second", count: "samples" };

// Which columns of an answer of /api/history are drawn, and how.
function plan(columns) {
  if (columns.includes("upper")) {
    // The highest percentile that is configured.
    const percentile = columns.find((name) => name.startsWith("upper_"));
    return [
      {
        names: ["upper", percentile, "median", "lower"],
        colours: ["--band-line", "--line-2", "--line", "--band-line"],
        band: [1, 4],
        thin: ["upper", "lower"],
        height: 230,
      },
      { names: ["count"], colours: ["--line-3"], isBars: true, height: 110 },
    ];
  }
  return [
    { names: columns.slice(1), colours: ["--line"], isFilled: columns[1] !== "value", height: 260 },
  ];
}

// Draws into `box` and returns { set(history), end() }.
export function chart(box, label, columns) {
  const parts = plan(columns).map((part) => one(box, label, columns, part));
  return {
    set: (past) => parts.forEach((part) => part.set(past)),
    end: () => parts.forEach((part) => part.end()),
  };
}

function one(box, label, columns, { names, colours, band, thin = [], isFilled, isBars, height }) {
  const canvas = el("div", { class: "plot", role: "img" });
  const legend = el("p", { class: "legend", "aria-hidden": "true" });
  box.append(canvas, legend);
  const time = el("span", { class: "muted" });
  const values = names.map((name, at) => {
    const shown = el("b");
    legend.append(
      el(
        "span",
        {},
        mark(colours[at]),
        `${words[name] ?? name.replace("_percentile", " percentile")} `,
        shown,
      ),
    );
    return shown;
  });
  legend.append(time);
  let plot = null;
  let data = null;

  function showAt(at) {
    const place = at ?? data[0].length - 1;
    text(time, data[0].length ? clock(data[0][place]) : "");
    values.forEach((node, of) => text(node, number(data[of + 1][place])));
  }

  function draw() {
    plot?.destroy();
    const grid = { stroke: colour("--grid"), width: 1 };
    const axis = {
      stroke: colour("--muted"),
      grid,
      ticks: grid,
      font: "12px system-ui, sans-serif",
    };
    plot = new window.uPlot(
      {
        width: Math.max(200, canvas.clientWidth),
        height,
        padding: [10, 30, 0, 0],
        legend: { show: false },
        cursor: { sync: { key: "detail" }, points: { size: 7 }, y: false },
        scales: { y: { range: (_, low, high) => bounds(low, high) } },
        axes: [
          {
            ...axis,
            size: 28,
            space: 70,
            // Whole seconds. Otherwise a short chart has the same time twice.
            incrs: [1, 5, 15, 60, 300, 900, 3600, 14400, 86400, 1e6],
            values: (self, ticks) => ticks.map((tick) => onAxis(self, tick)),
          },
          { ...axis, size: 58, values: (_, ticks) => ticks.map(compact) },
        ],
        bands: band ? [{ series: band, fill: colour("--band") }] : [],
        series: [
          {},
          ...names.map((name, at) => ({
            label: name,
            stroke: colour(colours[at]),
            width: isBars ? 0 : thin.includes(name) ? 1 : 2,
            fill: isFilled || isBars ? colour(isBars ? "--bars" : "--area") : undefined,
            paths: isBars
              ? window.uPlot.paths.bars({ size: [0.8, 30] })
              : columns[1] === "value"
                ? window.uPlot.paths.stepped({ align: 1 })
                : undefined,
            points: { show: data[0].length < 30, size: 5 },
          })),
        ],
        hooks: { setCursor: [(self) => showAt(self.cursor.idx)] },
      },
      data,
      canvas,
    );
    showAt(null);
  }

  const resized = new ResizeObserver(() => {
    if (plot && canvas.clientWidth)
      plot.setSize({ width: Math.max(200, canvas.clientWidth), height });
  });
  resized.observe(canvas);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const redraw = () => data && draw();
  dark.addEventListener("change", redraw);

  return {
    set(past) {
      const few = data && data[0].length < 30;
      data = turned(past.points, [0, ...names.map((name) => columns.indexOf(name))]);
      canvas.setAttribute("aria-label", sentence(label, names, data));
      if (!plot || few) return draw();
      plot.setData(data);
      if (plot.cursor.idx === null || plot.cursor.idx === undefined) showAt(null);
    },
    end() {
      plot?.destroy();
      resized.disconnect();
      dark.removeEventListener("change", redraw);
    },
  };
}

// The hour, or the day as well if the chart is longer than one.
const onAxis = ({ scales: { x } }, tick) =>
  x.max - x.min > 86400 ? dayClock(tick) : clock(tick).slice(0, x.max - x.min < 300 ? 8 : 5);

function mark(name) {
  const made = el("i");
  made.style.background = `var(${name})`;
  return made;
}

// From 0 if the values are near it, so that heights can be compared.
function bounds(low, high) {
  if (low === null || high === null) return [0, 1];
  if (low === high) return low === 0 ? [0, 1] : [Math.min(0, low), Math.max(0, high) * 1.25];
  const space = (high - low) * 0.08;
  const near = low >= 0 && low < (high - low) * 2;
  return [near ? 0 : low - space, high + space];
}

const turned = (points, places) =>
  places.map((place) => points.map((point) => point[place] ?? null));

function sentence(label, names, data) {
  const [times, ...lists] = data;
  if (!times.length) return `${label}: no point yet`;
  const span = `from ${clock(times[0])} to ${clock(times.at(-1))}`;
  const parts = lists.map((list, at) => {
    const values = list.filter((value) => value !== null);
    return values.length
      ? `${names[at]}: lowest ${number(Math.min(...values))}, ` +
          `highest ${number(Math.max(...values))}, last ${number(values.at(-1))}`
      : `${names[at]}: nothing`;
  });
  return `Chart of ${label} ${span}. ${parts.join(". ")}.`;
}
