// The log of a job: its end first, earlier lines when asked for, and what is added while it runs.

const FIRST = 64 * 1024;
const EARLIER = 256 * 1024;
const NEAR_END_PX = 40;

export class Log {
  constructor(jobId) {
    this.path = `/v1/jobs/${jobId}/logs`;
    this.box = document.getElementById("log-text");
    this.note = document.getElementById("log-note");
    this.button = document.getElementById("log-earlier");
    this.button.addEventListener("click", () => this.#earlier());
    this.start = this.end = 0; // the bytes that are shown
    this.text = document.createTextNode("");
    this.box.append(this.text);
    this.reading = null;
  }

  /** Show what there is, or what has been added; `isOver` says that nothing will be. */
  async follow(isOver) {
    if (isOver) await this.reading; // it may have begun before the last words were written
    this.reading ??= this.#read(isOver).finally(() => (this.reading = null));
    return this.reading;
  }

  async #read(isOver) {
    const isAtEnd = this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight < NEAR_END_PX;
    if (!this.decoder) {
      const size = await this.#size();
      if (size === null) return;
      this.decoder = new TextDecoder();
      this.start = this.end = Math.max(0, size - FIRST);
      await this.#add(true);
    } else await this.#add(false);
    if (isAtEnd) this.box.scrollTop = this.box.scrollHeight;
    this.button.hidden = this.start === 0;
    this.box.dataset.empty = isOver ? "It printed nothing." : "Nothing is printed yet.";
  }

  async #size() {
    const response = await fetch(this.path, { method: "HEAD" }).catch(() => null);
    return response?.ok ? Number(response.headers.get("content-length")) : null;
  }

  /** From the last byte known, which is there: a range past the end would be an error. */
  async #add(isFirst) {
    const from = Math.max(0, this.end - 1);
    const headers = this.end ? { Range: `bytes=${from}-` } : {};
    const response = await fetch(this.path, { headers }).catch(() => null);
    if (!response?.ok) return;
    let bytes = new Uint8Array(await response.arrayBuffer());
    if (this.end) bytes = bytes.subarray(1);
    this.end += bytes.length;
    if (isFirst && this.start) {
      const cut = bytes.indexOf(10) + 1; // the first line is not whole
      bytes = bytes.subarray(cut);
      this.start += cut;
    }
    if (bytes.length) this.text.appendData(this.decoder.decode(bytes, { stream: true }));
  }

  async #earlier() {
    const from = Math.max(0, this.start - EARLIER);
    const response = await fetch(this.path, { headers: { Range: `bytes=${from}-${this.start - 1}` } }).catch(() => null);
    if (!response?.ok) return;
    let bytes = new Uint8Array(await response.arrayBuffer());
    let cut = from ? bytes.indexOf(10) + 1 : 0; // the first line is not whole
    if (cut === bytes.length) cut = 0;
    bytes = bytes.subarray(cut);
    this.start = from + cut;
    const below = this.box.scrollHeight - this.box.scrollTop;
    this.text.insertData(0, new TextDecoder().decode(bytes));
    this.box.scrollTop = this.box.scrollHeight - below;
    this.button.hidden = this.start === 0;
    if (this.button.hidden) this.box.focus();
  }
}
