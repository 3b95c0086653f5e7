import { request } from "./api.js";
import { draw } from "./charts.js";
import { refresh } from "./refresh.js";
import { toast } from "./toast.js";

const chart = document.getElementById("balance");
if (chart) draw(chart, JSON.parse(document.getElementById("balance-spec").textContent));

// What a check finds is drawn with the whole page.
const isChecking = () => document.querySelector('[data-live] [data-status="checking"]') !== null;
let wasChecking = isChecking();
refresh(1000, () => {
  if (wasChecking && !isChecking()) location.reload();
  wasChecking = isChecking();
  return wasChecking;
});

const dialog = document.getElementById("delete-dataset");
document.querySelector('[data-opens="delete-dataset"]')?.addEventListener("click", () => dialog.showModal());
dialog?.addEventListener("close", async () => {
  if (dialog.returnValue !== "delete") return;
  try {
    await request("DELETE", `/v1/datasets/${dialog.dataset.id}`);
    location.assign("/ui/datasets");
  } catch (error) {
    toast(error.message, "bad");
  }
});
