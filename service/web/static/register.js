// A dialog with a form that uploads a file and registers what it holds.
import { Problem, post } from "./api.js";
import { percent } from "./format.js";
import { toast } from "./toast.js";
import { upload } from "./upload.js";

/**
 * `dialog` has a form, a file input named `file`, `[data-progress]` with a <progress> and a text,
 * and `[data-problem]`. `body(form, name)` is what is posted to `path`; `done(resource)` follows.
 */
export function registers(dialog, { path, body, done }) {
  const form = dialog.querySelector("form");
  const problem = dialog.querySelector("[data-problem]");
  const progress = dialog.querySelector("[data-progress]");
  const submit = form.querySelector("[type=submit]");
  let stop = null;

  for (const opener of document.querySelectorAll(`[data-opens="${dialog.id}"]`)) {
    opener.addEventListener("click", () => dialog.showModal());
  }
  dialog.addEventListener("close", () => stop?.abort());
  dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    clear();
    stop = new AbortController();
    submit.disabled = true;
    progress.hidden = false;
    try {
      const file = form.elements.file.files[0];
      const name = await upload(file, { onProgress: show, signal: stop.signal });
      done(await post(path, body(form, name), { signal: stop.signal }));
      dialog.close();
    } catch (error) {
      if (error.name !== "AbortError") tell(error);
    } finally {
      submit.disabled = false;
      progress.hidden = true;
    }
  });

  function show(share) {
    progress.querySelector("progress").value = share;
    progress.querySelector("output").textContent = percent(share);
  }

  function clear() {
    problem.hidden = true;
    for (const field of form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
  }

  function tell(error) {
    if (!(error instanceof Problem)) throw error;
    problem.textContent = [error.message, ...error.errors.map((each) => each.detail)]
      .filter((text, index, all) => all.findIndex((one) => one.toLowerCase() === text.toLowerCase()) === index)
      .join(" · ");
    problem.hidden = false;
    const field = error.errors.map((each) => form.elements[each.pointer.split("/")[1]]).find(Boolean);
    field?.setAttribute("aria-invalid", "true");
    (field ?? submit).focus();
    toast("It was not taken: see the form", "bad");
  }
}

/** The values of a form's named fields that are filled in; numbers as numbers. */
export function filled(form, ...names) {
  const found = {};
  for (const name of names) {
    const field = form.elements[name];
    if (field && field.value !== "") found[name] = field.type === "number" ? field.valueAsNumber : field.value;
  }
  return found;
}
