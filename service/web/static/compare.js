// Choosing what to compare: the picks are in the address, so that a choice can be shared.
import { post } from "./api.js";

const form = document.getElementById("compare");
if (form) {
  const list = document.getElementById("picked");
  const names = JSON.parse(document.getElementById("names").textContent);
  const problem = form.querySelector("[data-problem]");
  let picked = JSON.parse(document.getElementById("picked-first").textContent);

  const show = () => {
    list.replaceChildren(...picked.map(item));
    const query = picked.length ? `?ids=${picked.join(",")}` : "";
    history.replaceState(null, "", `/ui/compare${query}`);
  };

  const item = (id, index) => {
    const made = document.createElement("li");
    const remove = document.createElement("button");
    remove.type = "button";
    remove.className = "quiet";
    remove.textContent = "Remove";
    remove.setAttribute("aria-label", `Remove ${names[id] ?? id}`);
    remove.addEventListener("click", () => {
      picked = picked.filter((one) => one !== id);
      show();
      form.elements.add.focus();
    });
    const code = document.createElement("code");
    code.textContent = id;
    made.append(names[id] ? `${names[id]} ` : "", code, index === 0 ? " · baseline " : " ", remove);
    return made;
  };

  const add = () => {
    const wanted = form.elements.add.value.trim();
    const byName = Object.keys(names).find((id) => names[id] === wanted);
    const id = byName ?? wanted;
    if (!id) return;
    if (!picked.includes(id)) picked.push(id);
    form.elements.add.value = "";
    show();
  };

  form.querySelector("[data-add]").addEventListener("click", add);
  form.elements.add.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    add();
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    add();
    problem.hidden = true;
    try {
      const made = await post("/v1/comparisons", asked());
      location.assign(`/ui/compare/${made.id}`);
    } catch (error) {
      problem.textContent = [error.message, ...(error.errors ?? []).map((each) => each.detail)]
        .filter((text, index, all) => all.indexOf(text) === index)
        .join(" · ");
      problem.hidden = false;
    }
  });

  const asked = () => {
    const body = { models: picked };
    if (form.elements.name.value) body.name = form.elements.name.value;
    const targets = {};
    for (const name of ["max_accuracy_drop_points", "min_speedup"]) {
      if (form.elements[name].value) targets[name] = form.elements[name].valueAsNumber;
    }
    if (form.elements.size_kb.value) targets.size_bytes = Math.round(1000 * form.elements.size_kb.valueAsNumber);
    return Object.keys(targets).length ? { ...body, targets } : body;
  };

  show();
}
