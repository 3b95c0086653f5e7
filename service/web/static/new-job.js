// The form of a new job: drawn from the contract, held against the service while one types.
import { Problem, get, post } from "./api.js";
import { widget } from "./form-groups.js";
import { tabs } from "./tabs.js";
import { toast } from "./toast.js";

const TYPING_MS = 350;

const data = JSON.parse(document.getElementById("form-data").textContent);
const form = document.getElementById("new-job");
const panel = document.getElementById("panel-form");
const text = document.getElementById("spec-text");
const textProblem = document.getElementById("spec-problem");
const verdict = document.getElementById("verdict");
const others = document.getElementById("others");
const start = form.querySelector("[type=submit]");
const fields = widget({ ...data.tree, required: true, label: "" }, { names: data.names });
const touched = new Set(); // widgets that were left or changed: only they are told what they lack
let complaining = [];
let isAsked = false; // to start, once: from then on every field is told
let isText = false;

panel.replaceChildren(fields.element);
fields.set(data.spec);

// What is asked for, from whichever side is being filled in

function asked() {
  if (!isText) return { kind: data.kind, ...fields.get() };
  const spec = JSON.parse(text.value);
  if (spec === null || typeof spec !== "object" || Array.isArray(spec)) throw new SyntaxError("a spec is a JSON object");
  return spec;
}

function current() {
  try {
    const spec = asked();
    textProblem.hidden = true;
    text.removeAttribute("aria-invalid");
    return spec;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    textProblem.textContent = `This is no JSON yet: ${error.message}`;
    textProblem.hidden = false;
    text.setAttribute("aria-invalid", "true");
    return null;
  }
}

tabs(form.querySelector('[role="tablist"]'), (name) => {
  if (name === "json" && !isText) {
    text.value = JSON.stringify(asked(), null, 2);
    isText = true;
  } else if (name === "form" && isText) {
    const spec = current();
    isText = false;
    if (spec && spec.kind !== data.kind) location.assign(at(spec));
    else if (spec) fields.set(spec);
    soon();
  }
});

const at = (spec) => `/ui/jobs/new?spec=${encodeURIComponent(JSON.stringify(spec))}`;

// What the service says of it

let timer = null;
let stop = new AbortController();

function soon() {
  clearTimeout(timer);
  timer = setTimeout(check, TYPING_MS);
}

async function check() {
  clearTimeout(timer);
  stop.abort();
  stop = new AbortController();
  const { signal } = stop;
  const spec = current();
  if (spec === null) return false;
  tellElsewhere(spec, signal);
  try {
    await post("/v1/jobs?validate_only=true", spec, { signal });
    tell([]);
    return true;
  } catch (error) {
    if (error.name === "AbortError") return false;
    if (!(error instanceof Problem)) throw error;
    tell(error.errors.length ? error.errors : [{ pointer: "", detail: error.message }]);
    return false;
  }
}

async function tellElsewhere(spec, signal) {
  try {
    for (const one of await post("/ui/jobs/snippets", spec, { signal })) {
      document.getElementById(`snippet-${one.id}`).textContent = one.text;
    }
  } catch (error) {
    if (error.name !== "AbortError" && !(error instanceof Problem)) throw error;
  }
}

const parts = (pointer) => pointer.replace(/^#/, "").split("/").slice(1).map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));

function tell(errors) {
  for (const one of complaining) one.complain("");
  const told = new Map();
  const loose = [];
  for (const error of errors) {
    const one = isText || !error.pointer ? fields : fields.at(parts(error.pointer));
    if (one === fields) loose.push(error);
    else told.set(one, [...(told.get(one) ?? []), error.detail]);
  }
  complaining = [...told.keys()];
  let silent = 0;
  for (const [one, details] of told) {
    if (isAsked || touched.has(one) || !/^field required$/i.test(details[0])) one.complain(sentences(details));
    else silent += 1;
  }
  others.replaceChildren(...loose.map(item));
  others.hidden = !loose.length;
  const count = told.size + loose.length;
  verdict.className = count ? (silent === count ? "soft" : "error") : "good";
  verdict.textContent = count ? words(count, silent) : "The service would take it.";
}

const words = (count, silent) =>
  silent === count ? `Still to fill in: ${names()}.` : `${count} ${count === 1 ? "thing is" : "things are"} not right yet.`;

const names = () => complaining.map((one) => nameOf(one)).join(", ");

function nameOf(one) {
  const label = one.element.querySelector(":scope > label, :scope > legend");
  const around = one.element.parentElement.closest("fieldset")?.querySelector("legend");
  return (label?.textContent || around?.textContent || "a field").trim();
}

const sentences = (details) => details.map((detail) => detail.charAt(0).toUpperCase() + detail.slice(1)).join(". ");

function item(error) {
  const made = document.createElement("li");
  const where = parts(error.pointer ?? "").join(".");
  made.textContent = where ? `${where}: ${error.detail}` : sentences([error.detail]);
  return made;
}

form.addEventListener("input", (event) => {
  for (const one of complaining) if (one.control === event.target) touched.add(one);
  soon();
});
form.addEventListener("change", (event) => {
  markPreset(event.target.closest("[data-preset]"));
  soon();
});

// Presets, kinds, what there is to pick from

for (const button of form.querySelectorAll("[data-preset]")) {
  button.setAttribute("aria-pressed", "false");
  button.addEventListener("click", () => {
    const spec = current() ?? {};
    const kept = Object.fromEntries(data.kept.filter((key) => key in spec).map((key) => [key, spec[key]]));
    const filled = { kind: data.kind, ...kept, ...data.presets[button.dataset.preset] };
    fields.set(filled);
    if (isText) text.value = JSON.stringify(filled, null, 2);
    markPreset(button);
    soon();
  });
}

function markPreset(chosen) {
  for (const button of form.querySelectorAll("[data-preset]")) button.setAttribute("aria-pressed", String(button === chosen));
  for (const hint of form.querySelectorAll("[data-hint]")) hint.hidden = hint.dataset.hint !== chosen?.dataset.preset;
}

// Another kind takes along what it has a field for.
for (const link of document.querySelectorAll("[data-kind]")) {
  link.addEventListener("click", (event) => {
    const spec = current();
    if (!spec || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const model = spec.model ?? spec.teacher ?? spec.models?.[0];
    const id = typeof model === "string" ? model : undefined;
    const role = { distill: { teacher: id }, benchmark: { models: id && [id] }, train: {} }[link.dataset.kind] ?? { model: id };
    const { name, labels, dataset } = spec;
    location.assign(at({ kind: link.dataset.kind, name, labels, dataset, ...role }));
  });
}

get("/v1/capabilities")
  .then(({ architectures }) => {
    const list = document.getElementById("known-architectures");
    const known = new Set([...list.options].map((option) => option.value));
    list.append(...Object.keys(architectures).filter((name) => !known.has(name)).map((name) => new Option("", name)));
  })
  .catch(() => {}); // those that come along are there, and any name can be typed

// Sending

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  isAsked = true;
  start.disabled = true;
  try {
    if (!(await check())) return focusFirst();
    const job = await post("/v1/jobs", current(), { headers: { "Idempotency-Key": data.key } });
    location.assign(`/ui/jobs/${job.id}`);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    toast(error.message, "bad");
  } finally {
    start.disabled = false;
  }
});

function focusFirst() {
  start.disabled = false;
  const inOrder = complaining
    .map((one) => one.control ?? one.element.querySelector("input, select, textarea"))
    .filter(Boolean)
    .sort((a, b) => (a.compareDocumentPosition(b) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1));
  const first = isText ? text : inOrder[0];
  for (let box = first?.closest("details"); box; box = box.parentElement.closest("details")) box.open = true;
  first?.focus();
}

document.querySelector(".same-elsewhere").addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const from = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(from.textContent);
    toast("Copied");
  } catch {
    getSelection().selectAllChildren(from);
    toast("Selected: press Ctrl+C to copy it");
  }
});

// Back from the job that was started, the form has its old key: another job needs a new one.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

check();
