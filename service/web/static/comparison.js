import { draw, onRecolour } from "./charts.js";
import { deletes } from "./deleting.js";

const chart = document.getElementById("front");
if (chart) {
  const specs = JSON.parse(document.getElementById("fronts").textContent);
  const axis = document.getElementById("axis");
  const show = () => draw(chart, specs[axis.value]);
  axis.addEventListener("change", show);
  onRecolour(show);
  show();
}

deletes("comparison", "/v1/comparisons", "/ui/compare");
