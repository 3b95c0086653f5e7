// Charts, by the library that comes along; loaded when the first chart is wanted.
const LIBRARY = new URL("./charts-library.js", import.meta.url).href;
let library;
const views = new WeakMap(); // of elements
const scheme = matchMedia("(prefers-color-scheme: dark)");

/** Calls `redraw` when the page turns dark or light: a chart keeps the colours it was drawn in. */
export const onRecolour = (redraw) => scheme.addEventListener("change", redraw);

/** Draws a Vega-Lite specification into an element, in the page's colours. Returns the view. */
export async function draw(element, spec) {
  library ??= import(LIBRARY);
  await library;
  views.get(element)?.finalize();
  const { view } = await globalThis.vegaEmbed(element, spec, {
    actions: false,
    ast: true, // the page's policy forbids eval, which Vega otherwise compiles by
    defaultStyle: false, // it is put in as an inline style, which the policy forbids too
    tooltip: { disableDefaultStyle: true },
    logLevel: 1, // errors; what it warns of is how it read a specification
    renderer: "canvas",
    config: config(),
  });
  views.set(element, view);
  return view;
}

function config() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const axis = {
    labelColor: colour("--soft"), titleColor: colour("--ink"), gridColor: colour("--line"),
    domainColor: colour("--line"), tickColor: colour("--line"), titleFontWeight: 600,
  };
  return {
    background: "transparent",
    font: getComputedStyle(document.body).fontFamily,
    view: { stroke: "transparent" },
    axis,
    legend: { labelColor: colour("--ink"), titleColor: colour("--ink") },
    title: { color: colour("--ink") },
  };
}
