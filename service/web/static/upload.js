// Files to the service: PUT /v1/files/{name}, with progress and, where the browser can compute it,
// a digest that the service verifies. Larger files than a browser should hold go by the CLI.
import { Problem } from "./api.js";

const DIGESTED_BYTES = 512 * 2 ** 20; // SubtleCrypto wants the whole file in memory
const TRIES = 5;

/**
 * Uploads a File. Returns the name it has there: its own, or one with a number before it where
 * another file has that. `onProgress(share)`; `signal` aborts. Throws Problem.
 */
export async function upload(file, { onProgress = () => {}, signal } = {}) {
  const digest = await digestOf(file);
  for (let number = 0; number < TRIES; number += 1) {
    const name = number === 0 ? file.name : `${number + 1}-${file.name}`;
    try {
      await put(name, file, digest, onProgress, signal);
      return name;
    } catch (error) {
      if (error.code !== "file_exists" || number === TRIES - 1) throw error;
    }
  }
}

async function digestOf(file) {
  if (!globalThis.crypto?.subtle || file.size > DIGESTED_BYTES) return null;
  const hash = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
  return btoa(String.fromCharCode(...new Uint8Array(hash)));
}

// XMLHttpRequest: fetch tells nothing of a body on its way.
function put(name, file, digest, onProgress, signal) {
  return new Promise((resolve, reject) => {
    const sending = new XMLHttpRequest();
    sending.open("PUT", `/v1/files/${encodeURIComponent(name)}`);
    sending.setRequestHeader("Content-Type", "application/octet-stream");
    sending.setRequestHeader("X-CSRF-Token", document.querySelector('meta[name="csrf-token"]').content);
    if (digest) sending.setRequestHeader("Repr-Digest", `sha-256=:${digest}:`);
    sending.upload.onprogress = (event) => onProgress(event.loaded / event.total);
    sending.onload = () => {
      if (sending.status < 300) resolve();
      else reject(new Problem(sending.status, parsed(sending.responseText)));
    };
    sending.onerror = () => reject(new Problem(0, { detail: "the connection broke", code: "unreachable" }));
    sending.onabort = () => reject(new DOMException("The upload was stopped", "AbortError"));
    signal?.addEventListener("abort", () => sending.abort());
    sending.send(file);
  });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}
