// The list of jobs stays live over one stream: progress is put in its row, and a change of state
// asks for the list again.
import { get, post } from "./api.js";
import { duration } from "./format.js";
import { isPicking, picksToCompare } from "./picking.js";
import { renew } from "./refresh.js";
import { listen } from "./stream.js";
import { toast } from "./toast.js";

const SETTLE_MS = 250; // many jobs may change at once
let due = null;

function soon() {
  due ??= setTimeout(async () => {
    due = null;
    if (isPicking()) soon(); // ticks would be lost
    else await renew();
  }, SETTLE_MS);
}

function showProgress({ job, progress }) {
  const row = document.querySelector(`[data-job="${CSS.escape(job)}"]`);
  const bar = row?.querySelector("progress");
  if (!bar) {
    if (row) soon(); // it has just begun
    return;
  }
  bar.value = progress.fraction;
  const left = progress.eta_s === null ? "" : ` · ${duration(progress.eta_s)} left`;
  row.querySelector("[data-words]").textContent = progress.phase + left;
}

listen("/v1/events", { state: soon, progress: showProgress }, soon, { alsoFirst: true });
picksToCompare();
get("/readyz")
  .then(({ status }) => {
    document.getElementById("degraded").hidden = status !== "degraded";
  })
  .catch(() => {}); // whatever else is away, requests to it say

document.getElementById("jobs").addEventListener("click", async (event) => {
  const button = event.target.closest("[data-act]");
  if (!button) return;
  const id = button.closest("[data-job]").dataset.job;
  button.disabled = true;
  try {
    await post(`/v1/jobs/${id}/${button.dataset.act}`);
    toast({ cancel: "Cancelling", pause: "Pausing", resume: "Queued again", retry: "Tried again, as a new job" }[button.dataset.act]);
  } catch (error) {
    toast(error.message, "bad");
    button.disabled = false;
  }
  soon();
});

document.getElementById("filters")?.addEventListener("change", (event) => {
  if (event.target.matches("select")) event.currentTarget.requestSubmit();
});

document.querySelector("[data-try]")?.addEventListener("click", async (event) => {
  const button = event.currentTarget;
  button.disabled = true;
  try {
    const jobs = [];
    for (const spec of first()) jobs.push((await post("/v1/jobs", spec(jobs))).id);
    location.assign(`/ui/jobs/${jobs.at(-1)}`);
  } catch (error) {
    button.disabled = false;
    toast(error.message, "bad");
  }
});

/** Three specs in a row; each is given the ids of the jobs before it. */
function first() {
  const labels = { made: "first-run" };
  const training = { epochs: 3, batch_size: 32, scheduler: "cosine" };
  return [
    () => ({ kind: "train", name: "Digits: teacher", labels, model: { architecture: "cnn_teacher" }, dataset: "digits", training: { ...training, epochs: 2 } }),
    (jobs) => ({ kind: "distill", name: "Digits: student", labels, teacher: jobs[0], student: { architecture: "cnn_student" }, dataset: "digits", training }),
    (jobs) => ({ kind: "quantize", name: "Digits: student in int8", labels, model: jobs[1], dataset: "digits", method: { name: "static_int8" } }),
  ];
}
