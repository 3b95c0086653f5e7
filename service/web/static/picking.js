// Ticked rows go to the page that compares them.

export function picksToCompare() {
  const link = document.querySelector("[data-compare]");
  const staysHidden = link.hidden;
  document.addEventListener("change", (event) => {
    if (!event.target.matches("[data-pick]")) return;
    const picked = [...document.querySelectorAll("[data-pick]:checked")].map((box) => box.value);
    link.href = picked.length ? `/ui/compare?ids=${picked.join(",")}` : "/ui/compare";
    link.textContent = picked.length ? `Compare ${picked.length}` : "Compare";
    link.hidden = staysHidden && !picked.length;
  });
}

export const isPicking = () => document.querySelector("[data-pick]:checked") !== null;
