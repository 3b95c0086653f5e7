import { draw, onRecolour } from "./charts.js";
import { deletes } from "./deleting.js";
import { refresh } from "./refresh.js";

const chart = document.getElementById("balance");
if (chart) {
  const show = () => draw(chart, JSON.parse(document.getElementById("balance-spec").textContent));
  onRecolour(show);
  show();
}

// What a check finds is drawn with the whole page.
const isChecking = () => document.querySelector('[data-live] [data-status="checking"]') !== null;
let wasChecking = isChecking();
refresh(1000, () => {
  if (wasChecking && !isChecking()) location.reload();
  wasChecking = isChecking();
  return wasChecking;
});

deletes("dataset", "/v1/datasets", "/ui/datasets");
