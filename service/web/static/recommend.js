// "What should I do?": targets in, ranked specs out, each with its reason and a button to start it.
import { post } from "./api.js";
import { toast } from "./toast.js";

/** Wires a form with `data-model`, a field `data` and targets (one of the name `dataset` would hide the form's own); what is recommended goes into `list`. */
export function suggest(form, list) {
  const problem = form.querySelector("[data-problem]");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    problem.hidden = true;
    try {
      const found = await post("/v1/recommendations", asked(form));
      list.replaceChildren(...found.recommendations.map(article), notes(found));
      if (!found.recommendations.length && !found.notes.length) list.prepend(paragraph("Nothing is known that would keep these targets."));
    } catch (error) {
      problem.textContent = [error.message, ...(error.errors ?? []).map((each) => each.detail)].join(" · ");
      problem.hidden = false;
    }
  });
}

function asked(form) {
  const targets = {};
  for (const name of ["max_accuracy_drop_points", "min_speedup"]) {
    if (form.elements[name].value) targets[name] = form.elements[name].valueAsNumber;
  }
  if (form.elements.size_kb.value) targets.size_bytes = Math.round(1000 * form.elements.size_kb.valueAsNumber);
  const body = { model: form.dataset.model, dataset: form.elements.data.value.trim() };
  return Object.keys(targets).length ? { ...body, targets } : body;
}

function article(one) {
  const box = document.createElement("article");
  const title = document.createElement("h4");
  title.textContent = `${one.rank}. ${one.title}`;
  box.append(title, paragraph(one.reason));
  if (one.targets.length) box.append(items(one.targets.map((each) => each.text)));
  const more = document.createElement("details");
  const summary = document.createElement("summary");
  summary.textContent = "What speaks for it";
  more.append(summary, items([...one.evidence.map((each) => each.text), ...one.caveats]));
  box.append(more, startButton(one));
  return box;
}

function startButton(one) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = one.specs.length > 1 ? `Start ${one.specs.length} jobs in a row` : "Start";
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const jobs = [];
      for (const spec of one.specs) jobs.push((await post("/v1/jobs", withJobs(spec, jobs))).id);
      location.assign(`/ui/jobs/${jobs.at(-1)}`);
    } catch (error) {
      button.disabled = false;
      toast(error.message, "bad");
    }
  });
  const row = document.createElement("p");
  row.append(button);
  return row;
}

/** The ids of jobs in the places that a chain keeps for them. */
function withJobs(spec, jobs) {
  const places = jobs.map((id, index) => [`job_${String(index + 1).padStart(26, "0")}`, id]);
  return JSON.parse(
    places.reduce((text, [place, id]) => text.replaceAll(place, id), JSON.stringify(spec)),
  );
}

function notes(found) {
  const box = document.createElement("div");
  box.className = "soft small";
  box.append(...found.targets.map((each) => paragraph(each.text)), ...found.notes.map(paragraph));
  return box;
}

function paragraph(text) {
  const made = document.createElement("p");
  made.textContent = text;
  return made;
}

function items(texts) {
  const list = document.createElement("ul");
  list.append(...texts.map((text) => {
    const item = document.createElement("li");
    item.textContent = text;
    return item;
  }));
  return list;
}
