// Pages that change seldom: the page is asked for again, and its parts marked `data-live` are put
// in place of those shown, unless one is at work in them. Whoever was at a button with an id still is.

const parser = new DOMParser();

/** Now and every `everyMs` while the page is looked at and `wanted()` holds. Parts keep their id. */
export function refresh(everyMs, wanted = () => true) {
  const turn = async () => {
    if (document.visibilityState === "visible" && wanted()) await renew();
    setTimeout(turn, everyMs);
  };
  setTimeout(turn, everyMs);
}

export async function renew() {
  let fresh;
  try {
    const response = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (response.redirected) location.reload(); // signed out: the form asks for the key again
    if (!response.ok || response.redirected) return;
    fresh = parser.parseFromString(await response.text(), "text/html");
  } catch {
    return; // the service is away: what was seen last stays
  }
  for (const part of document.querySelectorAll("[data-live][id]")) {
    const other = fresh.getElementById(part.id);
    const active = part.contains(document.activeElement) ? document.activeElement : null;
    if (!other || (active && (!active.id || active.matches("input, select, textarea")))) continue;
    if (part.innerHTML === other.innerHTML) continue;
    part.replaceChildren(...other.childNodes);
    if (active) (document.getElementById(active.id) ?? document.getElementById("main")).focus();
  }
}
