// Requests to the API, by the cookie of the sign-in and the token of the page.

const token = document.querySelector('meta[name="csrf-token"]')?.content ?? "";

/** An answer that is not a success: `status`, `code`, and `errors` with JSON pointers. */
export class Problem extends Error {
  constructor(status, body) {
    super(sentence(body.detail ?? `The service answered ${status}`));
    this.status = status;
    this.code = body.code ?? "error";
    this.errors = body.errors ?? [];
  }
}

/** The answer's JSON, null without one, or its text. Throws Problem; a network error says so. */
export async function request(method, path, { json, headers = {}, signal } = {}) {
  const options = { method, headers: { "X-CSRF-Token": token, ...headers }, signal, redirect: "follow" };
  if (json !== undefined) {
    options.body = JSON.stringify(json);
    options.headers["Content-Type"] = "application/json";
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { detail: "the service does not answer", code: "unreachable" });
  }
  if (response.status === 204) return null;
  const isJson = (response.headers.get("content-type") ?? "").includes("json");
  const body = isJson ? await response.json() : await response.text();
  if (response.status === 401) {
    location.assign(`/ui/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
  }
  if (!response.ok) throw new Problem(response.status, isJson ? body : {});
  return body;
}

export const get = (path, options) => request("GET", path, options);
export const post = (path, json, options) => request("POST", path, { json, ...options });

function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
