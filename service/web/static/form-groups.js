// Fields of a form that hold other fields: objects, unions, lists of objects.
import { LEAVES, el, newId, prose, same } from "./form-fields.js";

const GROUPS = { group, union, either, items };

/** Draws a field of any type. `context.names` tells what ids are called. */
export function widget(node, context) {
  const made = (LEAVES[node.type] ?? GROUPS[node.type])(node, context);
  return node.nullable && GROUPS[node.type] ? optional(node, made) : made;
}

function fields(node, context) {
  const parts = new Map(node.fields.map((one) => [one.key, widget(one, context)]));
  const of = (first) => node.fields.filter((one) => one.first === first).map((one) => parts.get(one.key).element);
  const more = of(false);
  const element = el("div", { className: "fields-grid" }, ...of(true));
  const rest = more.length
    ? [el("details", { className: "more" }, el("summary", {}, "More options"), el("div", { className: "fields-grid" }, ...more))]
    : [];
  return { parts, elements: [element, ...rest] };
}

/** An object. Its own default is that of its fields. */
function group(node, context) {
  const { parts, elements } = fields(node, context);
  const element = node.label
    ? el("fieldset", { className: "group" }, el("legend", {}, node.label), ...hint(node), ...elements)
    : el("div", { className: "plain-group" }, ...elements);
  const made = complaining(element, {
    get() {
      const found = {};
      for (const one of node.fields) {
        const value = parts.get(one.key).get();
        if (value !== undefined) found[one.key] = value;
      }
      for (const one of node.fields) {
        if (one.together in found && !(one.key in found)) found[one.key] = one.default;
      }
      return Object.keys(found).length || node.required ? found : undefined;
    },
    set(value) {
      for (const one of node.fields) {
        const isLeftAlone = one.together && value && one.together in value && !(one.key in value);
        parts.get(one.key).set(isLeftAlone ? null : value?.[one.key]);
      }
    },
    at: ([key, ...others]) => (parts.has(key) ? parts.get(key).at(others) : made),
  });
  return made;
}

/** One of several objects, told apart by the field `node.by`. */
function union(node, context) {
  const drawn = new Map();
  const select = el("select", { id: newId() }, ...node.variants.map((one) => el("option", { value: one.value }, one.value.replaceAll("_", " "))));
  const about = el("p", { className: "hint" });
  const body = el("div");
  const which = el("div", { className: "field" }, el("label", { for: select.id }, "Which"), select, about);
  const element = node.label
    ? el("fieldset", { className: "group" }, el("legend", {}, node.label), which, body)
    : el("div", { className: "plain-group" }, which, body);
  const initial = node.default?.[node.by] ?? node.variants[0].value;
  const chosen = () => {
    const one = node.variants.find((each) => each.value === select.value);
    if (!drawn.has(one.value)) drawn.set(one.value, fresh(one.field, context));
    return [one, drawn.get(one.value)];
  };
  const show = () => {
    const [one, inner] = chosen();
    about.replaceChildren(...prose(one.hint));
    body.replaceChildren(inner.element);
  };
  select.addEventListener("change", show);
  const made = complaining(element, {
    control: select,
    get() {
      const found = chosen()[1].get() ?? {};
      const isDefault = !node.required && node.default && select.value === initial && !Object.keys(found).length;
      return isDefault ? undefined : { [node.by]: select.value, ...found };
    },
    set(value) {
      const wanted = value?.[node.by] ?? initial;
      select.value = node.variants.some((one) => one.value === wanted) ? wanted : initial;
      show();
      chosen()[1].set(value);
    },
    at: (parts) => (parts.length && parts[0] !== node.by ? chosen()[1].at(parts) : made),
  });
  made.set(undefined);
  return made;
}

const shapeOf = (value) => (Array.isArray(value) ? "array" : value === null ? "none" : typeof value);

/** One of several things that differ in shape: an object or an id, one or several. */
function either(node, context) {
  const drawn = new Map();
  const name = newId();
  const body = el("div");
  const radios = node.variants.map((one) => el("input", { type: "radio", name, value: one.shape }));
  const labels = radios.map((radio, index) => el("label", {}, radio, ` ${node.variants[index].label}`));
  const element = el("fieldset", { className: "group" }, el("legend", {}, node.label), ...hint(node), el("div", { className: "boxes" }, ...labels), body);
  const initial = node.variants.find((one) => one.shape === shapeOf(node.default ?? null))?.shape ?? node.variants[0].shape;
  const chosen = () => {
    const one = node.variants[Math.max(0, radios.findIndex((radio) => radio.checked))];
    if (!drawn.has(one.shape)) drawn.set(one.shape, fresh({ ...one.field, label: LEAVES[one.field.type] ? node.label : "", isAlone: true }, context));
    return [one, drawn.get(one.shape)];
  };
  const show = () => body.replaceChildren(chosen()[1].element);
  element.addEventListener("change", (event) => {
    if (radios.includes(event.target)) show();
  });
  const made = complaining(element, {
    control: radios[0],
    get() {
      const [one, inner] = chosen();
      const value = inner.get();
      if (node.required) return value;
      return one.shape === initial && same(value, initialValue) ? undefined : value;
    },
    set(value) {
      const wanted = value === undefined ? initial : shapeOf(value);
      for (const radio of radios) radio.checked = radio.value === wanted;
      if (!radios.some((radio) => radio.checked)) radios[0].checked = true;
      show();
      chosen()[1].set(value === undefined ? (node.default ?? undefined) : value);
    },
    at: (parts) => chosen()[1].at(parts),
  });
  made.set(undefined);
  const initialValue = chosen()[1].get();
  return made;
}

/** A list whose items are fields of their own. */
function items(node, context) {
  const rows = [];
  const body = el("div", { className: "items" });
  const add = el("button", { type: "button" }, "Add");
  add.setAttribute("aria-label", `Add to ${node.label || "the list"}`);
  const element = el("fieldset", { className: "group" }, el("legend", {}, node.label || "Several of them"), ...hint(node), body, el("p", {}, add));
  const announce = () => element.dispatchEvent(new Event("input", { bubbles: true }));
  function put(value) {
    const inner = fresh({ ...node.item, label: node.item.label || node.label.replace(/([^s])s$/, "$1") || "One", nullable: false }, context);
    inner.set(value);
    const remove = el("button", { type: "button", className: "quiet" }, "Remove");
    const row = { inner, element: el("div", { className: "item" }, inner.element, remove) };
    remove.addEventListener("click", () => {
      rows.splice(rows.indexOf(row), 1);
      row.element.remove();
      add.focus();
      announce();
    });
    rows.push(row);
    body.append(row.element);
    return row;
  }
  add.addEventListener("click", () => {
    put(undefined).element.querySelector("input, select")?.focus();
    announce();
  });
  const filled = () => rows.filter((row) => row.inner.get() !== undefined);
  const made = complaining(element, {
    get control() {
      return rows[0]?.inner.control ?? add;
    },
    get: () => (filled().length ? filled().map((row) => row.inner.get()) : undefined),
    set(value) {
      rows.length = 0;
      body.replaceChildren();
      for (const one of (value === undefined ? node.default : value) ?? []) put(one);
      if (!rows.length && node.required) put(undefined);
    },
    at: ([index, ...others]) => filled()[Number(index)]?.inner.at(others) ?? made,
  });
  return made;
}

/** A group that may be left out: a box to tick before it. */
function optional(node, inner) {
  const box = el("input", { type: "checkbox", id: newId() });
  const legend = inner.element.querySelector(":scope > legend");
  const rest = [...inner.element.children].filter((one) => one !== legend && !one.matches(".hint, .error"));
  const body = el("div", {}, ...rest);
  legend.replaceChildren(el("label", { for: box.id }, box, ` ${node.label}`));
  inner.element.append(body);
  const show = () => {
    body.hidden = !box.checked;
  };
  box.addEventListener("change", show);
  const isOnByDefault = node.default !== null && node.default !== undefined;
  return {
    ...inner,
    control: box,
    get() {
      if (!box.checked) return isOnByDefault ? null : undefined;
      const value = inner.get();
      return value === undefined && !isOnByDefault ? (node.type === "items" ? [] : {}) : value;
    },
    set(value) {
      box.checked = value === undefined ? isOnByDefault : value !== null;
      inner.set(value ?? undefined);
      show();
    },
  };
}

const fresh = (node, context) => {
  const made = widget(node, context);
  made.set(undefined);
  return made;
};

const hint = (node) => (node.hint ? [el("p", { className: "hint" }, ...prose(node.hint))] : []);

function complaining(element, made) {
  const problem = el("p", { className: "error small", hidden: true, role: "note" });
  element.append(problem);
  return Object.assign(made, {
    element,
    complain(text) {
      problem.textContent = text ?? "";
      problem.hidden = !text;
    },
  });
}
