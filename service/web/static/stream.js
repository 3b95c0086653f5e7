// One stream of events for a page (WHATWG server-sent events): browsers open six connections to an
// origin, and each stream holds one.

/**
 * Calls `handlers[type](data)` for each event; `onBack` after a break, since some may have been
 * missed, and with `alsoFirst` when the stream begins: the page is older than it by a moment.
 * Returns a function that ends the stream. A hidden page keeps it: events are few.
 */
export function listen(path, handlers, onBack = () => {}, { alsoFirst = false } = {}) {
  const source = new EventSource(path);
  let wasLost = alsoFirst;
  for (const [type, handle] of Object.entries(handlers)) {
    source.addEventListener(type, (event) => handle(JSON.parse(event.data)));
  }
  source.addEventListener("error", () => {
    wasLost = true;
  });
  source.addEventListener("open", () => {
    if (wasLost) onBack();
    wasLost = false;
  });
  const close = () => source.close();
  addEventListener("pagehide", close, { once: true });
  return close;
}
