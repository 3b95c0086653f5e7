// The page of a job: what changes while one looks at it.
import { get, post, request } from "./api.js";
import { duration } from "./format.js";
import { Charts } from "./job-charts.js";
import { Events } from "./job-events.js";
import { Log } from "./job-log.js";
import { Series } from "./job-series.js";
import { renew } from "./refresh.js";
import { listen } from "./stream.js";
import { tabs } from "./tabs.js";
import { toast } from "./toast.js";

const LOG_MS = 1000;
const ENDINGS = { succeeded: "It succeeded.", failed: "It failed.", cancelled: "It was cancelled." };

const job = JSON.parse(document.getElementById("job-data").textContent);
const title = document.title;
const log = new Log(job.id);
const events = new Events(job);
const series = new Series(job.id, (after) => {
  for (const one of charts) one.update(after);
  tellIfNone();
});
const charts = [...document.querySelectorAll("[data-charts]")].map((element) => new Charts(element, series));
let openTab = "overview";

// Tabs

tabs(document.querySelector(".tabs"), (name) => {
  openTab = name;
  for (const one of charts) if (one.stale) one.update(-1);
  if (name === "log") followLog();
  if (name === "events") events.list.scrollTop = events.list.scrollHeight;
});

function followLog() {
  if (openTab === "log") log.follow(job.over);
}

function tellIfNone() {
  const note = document.getElementById("no-metrics");
  note.hidden = series.points.size > 0;
  note.textContent = job.over
    ? "This job has no series: it trained nothing, or they were forgotten since."
    : "The first values come when training begins.";
}

// Clocks that run on, and the headline of the report

const clocks = new WeakMap();

function tick() {
  for (const clock of document.querySelectorAll("[data-clock]")) {
    if (!clocks.has(clock)) clocks.set(clock, performance.now() - 1000 * Number(clock.dataset.clock));
    const seconds = Math.floor((performance.now() - clocks.get(clock)) / 1000);
    clock.textContent = seconds < 120 ? `${seconds} s` : duration(seconds);
  }
}

async function readHeadline() {
  const headline = document.getElementById("headline");
  if (!headline?.dataset.report || headline.textContent) return;
  const report = await get(`/v1/jobs/${job.id}/report?format=json`).catch(() => null);
  if (report) headline.textContent = report.headline;
}

// What one can ask for

document.getElementById("job-head").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.dataset.opens) document.getElementById(button.dataset.opens).showModal();
  if (button?.dataset.verb) ask(button, button.dataset.verb);
});

async function ask(button, verb) {
  button.disabled = true;
  try {
    const answer = await post(`/v1/jobs/${job.id}/${verb}`);
    if (verb.startsWith("retry")) location.assign(`/ui/jobs/${answer.id}`);
    else await renewed();
  } catch (error) {
    toast(error.message, "bad");
    button.disabled = false;
  }
}

onConfirm("confirm-cancel", async () => {
  await post(`/v1/jobs/${job.id}/cancel`);
  await renewed();
});
onConfirm("confirm-delete", async () => {
  await request("DELETE", `/v1/jobs/${job.id}`);
  location.assign("/ui");
});

function onConfirm(id, act) {
  const dialog = document.getElementById(id);
  dialog?.addEventListener("close", () => {
    const isMeant = dialog.returnValue !== "";
    dialog.returnValue = "";
    if (isMeant) act().catch((error) => toast(error.message, "bad"));
  });
}

document.getElementById("panel-spec").addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    toast("Copied");
  } catch {
    getSelection().selectAllChildren(document.getElementById(button.dataset.copy));
    toast("Selected: press Ctrl+C to copy it");
  }
});

// What comes over the stream

const RENEW_MS = 500;
let renewing = null;
let again = false;

/** The page's parts anew, at once or as soon as the last time is past. */
function renewed() {
  again = true;
  renewing ??= renewAll().finally(() => (renewing = null));
  return renewing;
}

async function renewAll() {
  while (again) {
    again = false;
    await renew();
    readHeadline();
    tick();
    await new Promise((done) => setTimeout(done, again ? RENEW_MS : 0));
  }
}

function progressed({ progress }) {
  const box = document.getElementById("job-standing");
  const bar = box.querySelector("progress");
  if (!bar) return;
  if (progress.total) bar.value = progress.fraction;
  else bar.removeAttribute("value");
  box.querySelector("[data-phase]").textContent = progress.phase.charAt(0).toUpperCase() + progress.phase.slice(1);
  const steps = progress.total ? `step ${progress.step.toLocaleString("en-US")} of ${progress.total.toLocaleString("en-US")}` : "";
  box.querySelector("[data-steps]").textContent = steps;
  const eta = progress.eta_s === null ? "" : `about ${duration(progress.eta_s)} left`;
  box.querySelector("[data-eta]").textContent = eta;
  document.title = progress.total ? `${Math.floor(100 * progress.fraction)} % · ${title}` : title;
  // a run that began anew passes the same steps again
  series.want(progress.phase === "training" && progress.step < series.last ? "all" : "leading");
}

async function moved(event) {
  events.add([event]);
  job.status = event.data.status;
  job.over = job.status in ENDINGS;
  series.want("all");
  if (job.over) {
    close();
    document.title = title;
    followLog();
    toast(ENDINGS[job.status], job.status === "failed" ? "bad" : "good");
  }
  await renewed();
}

let close = () => {};
if (!job.over) {
  close = listen(
    `/v1/jobs/${job.id}/events?after=${events.last}`,
    {
      state: moved,
      phase: (event) => {
        events.add([event]);
        if (!document.querySelector("#job-standing progress")) renewed();
      },
      epoch: (event) => {
        events.add([event]);
        series.want("late");
      },
      checkpoint: (event) => {
        events.add([event]);
        renewed();
      },
      warning: (event) => events.add([event]),
      progress: progressed,
    },
    () => {
      renewed();
      series.want("all");
    },
  );
  setInterval(() => {
    if (!job.over && document.visibilityState === "visible") followLog();
  }, LOG_MS);
}
series.want("all");
readHeadline();
tick();
setInterval(tick, 1000);
