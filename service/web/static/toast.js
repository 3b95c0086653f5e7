// A short message in the corner, read out by screen readers.

const SHOWN_MS = 6000;

export function toast(text, kind = "good") {
  const box = document.createElement("div");
  box.className = kind;
  box.textContent = text;
  document.getElementById("toasts").append(box);
  setTimeout(() => box.remove(), SHOWN_MS);
}
