// The series of a job: read once, then only what is new.
import { get } from "./api.js";

const POINTS = 400; // of each series: a chart has no more pixels for them
const MOST = 3 * POINTS; // kept here before all are thinned out anew
const PAUSE_MS = 500;

export class Series {
  /** `changed(after)` is called with the step above which there is something new. */
  constructor(jobId, changed) {
    this.path = `/v1/jobs/${jobId}/metrics`;
    this.changed = changed;
    this.points = new Map();
    this.wanted = new Set();
    this.turn = null;
  }

  /** The last step of all; −1 while there is none. */
  get last() {
    return Math.max(-1, ...[...this.points.values()].map(lastStep));
  }

  /** Read what is new soon: `all` anew, the `leading` series, or `late` ones that lag behind. */
  want(what) {
    this.wanted.add(what);
    this.turn ??= this.#run().finally(() => {
      this.turn = null;
      if (this.wanted.size) this.want("leading");
    });
    return this.turn;
  }

  async #run() {
    while (this.wanted.size) {
      const begun = performance.now();
      const wanted = this.wanted;
      this.wanted = new Set();
      try {
        if (wanted.has("all") || !this.points.size) await this.#readAll();
        else {
          if (wanted.has("late")) await this.#readLate();
          await this.#readLeading();
        }
      } catch {
        return; // the service is away; the stream tells when it is back
      }
      await new Promise((done) => setTimeout(done, PAUSE_MS - (performance.now() - begun)));
    }
  }

  async #readAll() {
    const found = await get(`${this.path}?max_points=${POINTS}`);
    this.points = new Map(found.data.filter((one) => one.points.length).map((one) => [one.name, one.points]));
    this.changed(-1);
  }

  /** What came after the last step of all; a series that lags behind gets its own turn. */
  async #readLeading() {
    const last = this.last;
    const found = await get(`${this.path}?max_points=${POINTS}&after=${last}`);
    let added = false;
    for (const { name, points } of found.data) {
      const known = this.points.get(name);
      if (!known) return points.length ? this.#readAll() : undefined;
      if (!points.length) continue;
      if (lastStep(known) < last) this.wanted.add("late");
      else {
        known.push(...points);
        added = true;
      }
    }
    if ([...this.points.values()].some((points) => points.length > MOST)) return this.#readAll();
    if (added) this.changed(last);
  }

  async #readLate() {
    const last = this.last;
    const late = new Map(); // by their last step
    for (const [name, points] of this.points) {
      const step = lastStep(points);
      if (step < last) late.set(step, [...(late.get(step) ?? []), name]);
    }
    for (const [after, names] of late) {
      const query = names.map((name) => `name=${encodeURIComponent(name)}`).join("&");
      const found = await get(`${this.path}?max_points=${POINTS}&after=${after}&${query}`);
      for (const { name, points } of found.data) this.points.get(name).push(...points);
      if (found.data.some((one) => one.points.length)) this.changed(after);
    }
  }
}

function lastStep(points) {
  return points[points.length - 1].step;
}
