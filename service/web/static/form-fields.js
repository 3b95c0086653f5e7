// Fields of a form that hold one value each. A widget has `element`, `get()`, which is undefined
// where the value is the default or missing, `set(value)`, and `at(parts)`: the widget that a JSON
// pointer names.

let made = 0;

/** An element with properties and children; texts go in as text. */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role" || name === "for" || name === "list") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

/** A sentence in which what stands between backticks is code. */
export function prose(text) {
  return text.split("`").map((part, index) => (index % 2 ? el("code", {}, part) : part));
}

export const newId = () => `field-${(made += 1)}`;

export const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

/** What a field leaves out because the service says the same by itself. */
export const orDefault = (node, value) => (!node.required && same(value, node.default ?? null) ? undefined : value);

/** The box of a field: label, control, hint, and a place for what is wrong with it. */
function framed(node, control, beside) {
  const id = (control.id ||= newId());
  const hint = el("p", { className: "hint", id: `${id}-hint` }, ...prose(node.hint));
  const problem = el("p", { className: "error small", id: `${id}-error`, hidden: true });
  control.setAttribute("aria-describedby", `${id}-hint ${id}-error`);
  if (node.required) control.setAttribute("aria-required", "true");
  const label = el("label", { for: id }, node.label);
  if (node.isAlone) label.className = "visually-hidden"; // what stands around it says the same
  const box = el("div", { className: "field" }, label, control, ...(beside ? [beside] : []), hint, problem);
  return { box, problem };
}

function leaf(node, control, get, set, beside = null) {
  const { box, problem } = framed(node, control, beside);
  const widget = {
    element: box,
    control,
    get,
    set,
    at: () => widget,
    complain(text) {
      problem.textContent = text ?? "";
      problem.hidden = !text;
      if (text) control.setAttribute("aria-invalid", "true");
      else control.removeAttribute("aria-invalid");
    },
  };
  return widget;
}

function text(node, context) {
  const input = el("input", { type: "text", autocomplete: "off", spellcheck: false });
  if (typeof node.example === "string" && !node.example.includes("_01")) input.placeholder = node.example;
  let beside = null;
  if (node.picks) {
    input.setAttribute("list", `known-${node.picks}`);
    input.placeholder = { models: "mdl_… or job_…", datasets: "digits, or dst_…", architectures: "cnn_student" }[node.picks];
    beside = el("output", { className: "soft small known" });
  }
  const tell = () => {
    if (beside) beside.textContent = context.names[input.value.trim()] ?? "";
  };
  input.addEventListener("input", tell);
  const empty = () => (node.default === undefined || node.default === null ? undefined : null);
  return leaf(
    node,
    input,
    () => (input.value.trim() === "" ? empty() : orDefault(node, input.value.trim())),
    (value) => {
      const shown = value === undefined ? node.default : value;
      input.value = shown ?? "";
      tell();
    },
    beside,
  );
}

function number(node) {
  const input = el("input", { type: "number", step: node.whole ? "1" : "any", inputMode: node.whole ? "numeric" : "decimal" });
  for (const bound of ["min", "max"]) if (node[bound] !== undefined) input[bound] = node[bound];
  if (node.nullable) input.placeholder = "none";
  return leaf(
    node,
    input,
    () => {
      if (input.validity.badInput) return input.value || "?"; // the service says what it wants
      if (input.value !== "") return orDefault(node, input.valueAsNumber);
      return node.nullable ? orDefault(node, null) : undefined;
    },
    (value) => {
      input.value = (value === undefined ? node.default : value) ?? "";
    },
    range(node),
  );
}

function range(node) {
  const low = node.min !== undefined ? `from ${node.min}` : node.above !== undefined ? `above ${node.above}` : "";
  const high = node.max !== undefined && node.max < 1e9 ? `to ${node.max}` : node.below !== undefined && node.below < 1e9 ? `below ${node.below}` : "";
  const words = [low, high].filter(Boolean).join(low.startsWith("from") && high.startsWith("to") ? " " : ", ");
  return words ? el("span", { className: "hint range" }, words) : null;
}

function toggle(node) {
  const box = el("input", { type: "checkbox" });
  const widget = leaf(
    node,
    box,
    () => orDefault(node, box.checked),
    (value) => {
      box.checked = Boolean(value ?? node.default);
    },
  );
  widget.element.classList.add("switch");
  return widget;
}

function choice(node) {
  const options = node.nullable ? ["", ...node.options] : node.options;
  const select = el("select", {}, ...options.map((value) => el("option", { value }, value || "none")));
  return leaf(
    node,
    select,
    () => orDefault(node, select.value || null),
    (value) => {
      select.value = (value === undefined ? node.default : value) ?? "";
    },
  );
}

/** Several values with commas between; where one alone is allowed, one is no list. */
function list(node) {
  const input = el("input", { type: "text", autocomplete: "off", spellcheck: false });
  if (node.example) input.placeholder = [node.example].flat().join(", ");
  else input.placeholder = "with commas between";
  const read = (part) => (node.of === "string" || Number.isNaN(Number(part)) ? part : Number(part));
  return leaf(
    node,
    input,
    () => {
      const values = input.value.split(",").map((part) => part.trim()).filter(Boolean).map(read);
      if (!values.length) return orDefault(node, node.nullable ? null : []);
      return orDefault(node, node.single && values.length === 1 ? values[0] : values);
    },
    (value) => {
      input.value = [(value === undefined ? node.default : value) ?? []].flat().join(", ");
    },
  );
}

/** Lines of `key=value`. Values that read as JSON are what they say, where the schema has no type. */
function map(node) {
  const area = el("textarea", { rows: 2, spellcheck: false, placeholder: "key=value, one on each line" });
  const read = (value) => {
    if (node.of === "string") return value;
    try {
      return JSON.parse(value);
    } catch {
      return value;
    }
  };
  const shown = (value) => (typeof value === "string" ? value : JSON.stringify(value));
  return leaf(
    node,
    area,
    () => {
      const lines = area.value.split("\n").map((line) => line.trim()).filter(Boolean);
      const pairs = lines.map((line) => [line.split("=")[0].trim(), read(line.slice(line.indexOf("=") + 1).trim())]);
      return pairs.length || (node.default && !same(node.default, {})) ? Object.fromEntries(pairs) : undefined;
    },
    (value) => {
      area.value = Object.entries((value === undefined ? node.default : value) ?? {}).map(([k, v]) => `${k}=${shown(v)}`).join("\n");
    },
  );
}

function choices(node) {
  const id = newId();
  const boxes = node.options.map((value) => el("input", { type: "checkbox", value }));
  const labels = boxes.map((box) => el("label", {}, box, ` ${box.value}`));
  const problem = el("p", { className: "error small", id: `${id}-error`, hidden: true });
  const element = el(
    "fieldset",
    { className: "field choices", "aria-describedby": `${id}-error` },
    el("legend", {}, node.label),
    el("div", { className: "boxes" }, ...labels),
    el("p", { className: "hint" }, ...prose(node.hint)),
    problem,
  );
  let order = [];
  element.addEventListener("change", (event) => {
    order = order.filter((value) => value !== event.target.value);
    if (event.target.checked) order.push(event.target.value);
  });
  const widget = {
    element,
    control: boxes[0],
    get: () => orDefault(node, order),
    set(value) {
      order = [...((value === undefined ? node.default : value) ?? [])];
      for (const box of boxes) box.checked = order.includes(box.value);
    },
    at: () => widget,
    complain(text) {
      problem.textContent = text ?? "";
      problem.hidden = !text;
    },
  };
  return widget;
}

export const LEAVES = { text, number, switch: toggle, choice, list, map, choices };
