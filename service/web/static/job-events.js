// What happened to a job, in words.
import { get } from "./api.js";
import { percent, significant, size } from "./format.js";

const NEAR_END_PX = 40;

const REASONS = {
  worker_lost: "its worker was not heard of",
  drain: "its worker was asked to stop",
};

const STATES = {
  queued: (data) => (data.reason ? `Queued again: ${REASONS[data.reason] ?? data.message ?? data.reason.replaceAll("_", " ")}` : "Queued"),
  running: () => "Taken by a worker",
  cancelling: () => "Asked to cancel",
  cancelled: () => "Cancelled",
  pausing: () => "Asked to pause",
  paused: () => "Paused",
  succeeded: () => "Succeeded",
  failed: (data) => `Failed: ${data.error?.message ?? data.reason ?? "see the error"}`,
};

/** An event as a sentence. */
export function words({ type, data }) {
  switch (type) {
    case "state":
      return STATES[data.status]?.(data) ?? data.status;
    case "phase":
      return data.phase.charAt(0).toUpperCase() + data.phase.slice(1);
    case "epoch":
      return epoch(data);
    case "checkpoint":
      return `Checkpoint at step ${data.step.toLocaleString("en-US")}, ${size(data.bytes)}`;
    case "warning":
      return data.message;
    case "exported":
      return `Written to MLflow: ${data.url}`;
    default:
      return type;
  }
}

function epoch(data) {
  const parts = [];
  if (data.losses?.total !== undefined) parts.push(`loss ${significant(data.losses.total, 4)}`);
  if (data.train_accuracy !== undefined) parts.push(`training accuracy ${percent(data.train_accuracy)}`);
  if (data.validation_accuracy !== undefined) parts.push(`validation ${percent(data.validation_accuracy)}`);
  return `Epoch ${data.epoch}${parts.length ? `: ${parts.join(", ")}` : ""}`;
}

export class Events {
  constructor(job) {
    this.path = `/v1/jobs/${job.id}/events`;
    this.list = document.getElementById("event-list");
    this.button = document.getElementById("events-later");
    this.last = 0;
    this.add(job.events);
    this.button.hidden = !(job.over && job.more_events);
    this.button.addEventListener("click", () => this.#later());
    document.getElementById("show-epochs").addEventListener("change", (event) => {
      this.list.classList.toggle("without-epochs", !event.target.checked);
    });
  }

  /** Those that are new, newest last; the list follows while one looks at its end. */
  add(events) {
    const fresh = events.filter((event) => event.id > this.last);
    if (!fresh.length) return;
    const { list } = this;
    const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < NEAR_END_PX;
    list.append(...fresh.map(item));
    this.last = fresh.at(-1).id;
    if (isAtEnd) list.scrollTop = list.scrollHeight;
  }

  async #later() {
    const found = await get(`${this.path}?limit=100&after=${this.last}`).catch(() => null);
    if (!found) return;
    this.add(found.data);
    this.button.hidden = !found.has_more;
    if (this.button.hidden) document.getElementById("panel-events").focus();
  }
}

function item(event) {
  const row = document.createElement("li");
  row.dataset.type = event.type;
  const time = document.createElement("time");
  time.dateTime = event.created_at;
  const moment = new Date(event.created_at);
  time.textContent = moment.toLocaleTimeString("en-GB");
  time.title = moment.toLocaleString();
  row.append(time, prose(words(event)));
  return row;
}

/** A sentence, in which what stands between backticks is code. */
function prose(sentence) {
  const text = document.createElement("span");
  for (const [index, part] of sentence.split("`").entries()) {
    const code = document.createElement("code");
    code.textContent = part;
    text.append(index % 2 ? code : part);
  }
  return text;
}
