// Tabs by the ARIA pattern, https://www.w3.org/WAI/ARIA/apg/patterns/tabs/: arrows move, and the
// address keeps which one is open.

/** Makes tabs of a `tablist`; `opened(name)` is called for each one that is opened. */
export function tabs(list, opened) {
  const all = [...list.querySelectorAll('[role="tab"]')];
  const nameOf = (tab) => tab.id.replace("tab-", "");

  function open(tab, { remember = true } = {}) {
    for (const one of all) {
      const isOpen = one === tab;
      one.setAttribute("aria-selected", String(isOpen));
      one.tabIndex = isOpen ? 0 : -1;
      document.getElementById(one.getAttribute("aria-controls")).hidden = !isOpen;
    }
    const name = nameOf(tab);
    if (remember) history.replaceState(null, "", tab === all[0] ? location.pathname : `#${name}`);
    tab.scrollIntoView({ block: "nearest", inline: "nearest" });
    opened(name);
  }

  list.addEventListener("click", (event) => {
    const tab = event.target.closest('[role="tab"]');
    if (tab) open(tab);
  });
  list.addEventListener("keydown", (event) => {
    const at = all.indexOf(document.activeElement);
    const to = {
      ArrowRight: (at + 1) % all.length,
      ArrowLeft: (at - 1 + all.length) % all.length,
      Home: 0,
      End: all.length - 1,
    }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    all[to].focus();
    open(all[to]);
  });
  const byHash = () => all.find((tab) => `#${nameOf(tab)}` === location.hash);
  addEventListener("hashchange", () => {
    const tab = byHash();
    if (tab) open(tab, { remember: false });
  });
  open(byHash() ?? all[0], { remember: false });
}
