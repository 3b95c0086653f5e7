// The curves of a job. Each chart is drawn once; new points are put into it.
import { draw, onRecolour } from "./charts.js";
import { percent, significant } from "./format.js";

const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"]; // as in reports
const MARKED = 60; // points of a series that are few enough to be marked
const number = (value) => significant(value, 4);

// A list of names stands for the first of them that there is.
const GROUPS = [
  { id: "loss", title: "Loss", unit: "Loss (nats)", series: { training: ["loss", "loss_total"], validation: ["validation_loss"] } },
  { id: "accuracy", title: "Accuracy", unit: "Accuracy", axis: ".2~%", show: percent, series: { training: ["accuracy", "train_accuracy"], validation: ["validation_accuracy"] } },
  { id: "terms", title: "Terms of the loss", unit: "Loss before weights (nats)", prefix: "loss_", without: ["loss_total"], atLeast: 2 },
  { id: "learning_rate", title: "Learning rate", unit: "Learning rate", show: (value) => value.toPrecision(3), series: { "learning rate": ["learning_rate"] } },
  { id: "sparsity", title: "Sparsity", unit: "Share of weights that are zero", axis: ".2~%", show: percent, series: { sparsity: ["sparsity"] } },
  { id: "speed", title: "Speed", unit: "Examples per second", show: (value) => `${significant(value)} /s`, series: { training: ["images_per_s"] } },
];
const ELSEWHERE = ["loss_total", "train_accuracy"];

/** Which charts there are for these series: `{...group, lines: Map(label → name)}`. */
export function groupsOf(names) {
  const left = new Set(names);
  const found = [];
  for (const group of GROUPS) {
    const lines = new Map();
    for (const [label, choices] of Object.entries(group.series ?? {})) {
      const name = choices.find((one) => left.has(one));
      if (name) lines.set(label, name);
    }
    if (group.prefix) {
      for (const name of names) {
        if (name.startsWith(group.prefix) && !group.without.includes(name)) lines.set(name.slice(group.prefix.length), name);
      }
    }
    for (const name of lines.values()) left.delete(name);
    if (lines.size >= (group.atLeast ?? 1)) found.push({ show: number, ...group, lines });
  }
  for (const name of left) {
    const title = name.charAt(0).toUpperCase() + name.slice(1).replaceAll("_", " ");
    if (!ELSEWHERE.includes(name)) found.push({ id: name, title, unit: title, show: number, lines: new Map([[title.toLowerCase(), name]]) });
  }
  return found;
}

export class Charts {
  /** In `container`, whose `data-charts` names the groups to draw, or all. */
  constructor(container, series) {
    this.container = container;
    this.series = series;
    this.only = container.dataset.charts.split(" ").filter(Boolean);
    this.charts = new Map();
    onRecolour(() => {
      for (const chart of this.charts.values()) chart.kind = null;
      this.update(-1);
    });
  }

  /** Show what there is above the step `after`; -1: everything anew. Nothing while out of sight. */
  update(after) {
    if (this.container.closest("[hidden]")) {
      this.stale = true;
      return;
    }
    if (this.stale) after = -1;
    this.stale = false;
    for (const group of groupsOf([...this.series.points.keys()].sort())) {
      if (this.only.length && !this.only.includes(group.id)) continue;
      if (!this.charts.has(group.id)) this.charts.set(group.id, new Chart(this.container, group));
      this.charts.get(group.id).update(group, this.series.points, after);
    }
  }
}

class Chart {
  constructor(container, group) {
    this.figure = document.getElementById("chart-figure").content.firstElementChild.cloneNode(true);
    this.figure.querySelector("h3").textContent = group.title;
    this.plot = this.figure.querySelector(".plot");
    this.caption = this.figure.querySelector("figcaption");
    this.details = this.figure.querySelector("details");
    this.details.addEventListener("toggle", () => this.#fillTable());
    container.append(this.figure);
    this.busy = null;
    this.next = null;
  }

  update(group, points, after) {
    const lines = [...group.lines].map(([label, name]) => ({ label, points: points.get(name) }));
    this.group = group;
    this.lines = lines;
    this.caption.textContent = lines.map((line) => sentence(line, group.show)).join(" ");
    this.plot.setAttribute("aria-label", `${group.title} by step. ${this.caption.textContent}`);
    this.#fillTable();
    this.next = Math.min(this.next ?? Infinity, after);
    this.busy ??= this.#draw().finally(() => (this.busy = null));
  }

  /** Until nothing is left to draw: what comes meanwhile is drawn in the next turn. */
  async #draw() {
    while (this.next !== null) {
      const after = this.next;
      this.next = null;
      const last = Math.max(...this.lines.map((line) => line.points.at(-1).step));
      const kind = this.lines.map((line) => `${line.label} ${line.points.length <= MARKED}`).join();
      if (!this.view || this.kind !== kind) {
        this.kind = kind;
        this.view = await draw(this.plot.firstElementChild, specOf(this.group, this.lines, rows(this.lines, -1)));
      } else {
        const isNew = (row) => row.step > after;
        await this.view.remove("points", isNew).insert("points", rows(this.lines, after)).runAsync();
      }
      this.plot.dataset.lastStep = last; // of what is drawn: more may have come meanwhile
    }
  }

  #fillTable() {
    if (!this.details.open) return;
    const body = this.details.querySelector("tbody");
    body.replaceChildren(
      ...this.lines.map(({ label, points }) => {
        const row = document.createElement("tr");
        const { low, high } = extremes(points);
        const shown = [points[0], points.at(-1), low, high].map((point) => `${this.group.show(point.value)} at ${point.step.toLocaleString("en-US")}`);
        for (const [index, text] of [label, ...shown].entries()) {
          const cell = document.createElement(index ? "td" : "th");
          if (!index) cell.scope = "row";
          cell.textContent = text;
          row.append(cell);
        }
        return row;
      }),
    );
  }
}

function rows(lines, after) {
  return lines.flatMap(({ label, points }) =>
    points
      .filter((point) => point.step > after)
      .map((point) => ({ step: point.step, value: point.value, series: label, marked: points.length <= MARKED })),
  );
}

function extremes(points) {
  let low = points[0];
  let high = points[0];
  for (const point of points) {
    if (point.value < low.value) low = point;
    if (point.value > high.value) high = point;
  }
  return { low, high };
}

/** A line in words, for those who do not see it. */
function sentence({ label, points }, show) {
  const last = points.at(-1);
  const { low, high } = extremes(points);
  const name = label.charAt(0).toUpperCase() + label.slice(1);
  const now = `${name} ${show(last.value)} at step ${last.step.toLocaleString("en-US")}`;
  return points.length < 2 || low.value === high.value ? `${now}.` : `${now}; lowest ${show(low.value)}, highest ${show(high.value)}.`;
}

function specOf(group, lines, values) {
  const labels = lines.map((line) => line.label);
  const encoding = {
    x: { field: "step", type: "quantitative", title: "Step", axis: { tickCount: 8, labelExpr: "datum.value % 1 ? '' : format(datum.value, '~s')" }, scale: { nice: false, zero: false } },
    y: { field: "value", type: "quantitative", title: group.unit, axis: { tickCount: 5, ...(group.axis && { format: group.axis }) }, scale: { zero: false } },
    color: {
      field: "series", type: "nominal", title: null, scale: { domain: labels, range: COLOURS },
      legend: labels.length > 1 ? { orient: "top" } : null,
    },
    tooltip: [
      { field: "series", title: "Series" },
      { field: "step", title: "Step", format: "," },
      { field: "value", title: group.unit, format: group.axis ? ".2%" : ".4~g" },
    ],
  };
  return {
    data: { name: "points", values },
    width: "container",
    height: 220,
    autosize: { type: "fit", contains: "padding" },
    encoding,
    layer: [
      { mark: { type: "line", strokeWidth: 2 } },
      { mark: { type: "circle", size: 36, opacity: 1 }, transform: [{ filter: "datum.marked" }] },
      { mark: { type: "circle", size: 140, opacity: 0 } }, // what the pointer finds
    ],
  };
}

