import { post } from "./api.js";
import { deletes } from "./deleting.js";
import { refresh } from "./refresh.js";
import { suggest } from "./recommend.js";
import { toast } from "./toast.js";

const isChecking = () => document.querySelector('[data-live] [data-status="checking"]') !== null;
let wasChecking = isChecking();
refresh(1000, () => {
  if (wasChecking && !isChecking()) location.reload(); // what a check finds is drawn with the page
  wasChecking = isChecking();
  return wasChecking;
});

const model = document.querySelector("h1") && location.pathname.split("/").pop();

for (const button of document.querySelectorAll("[data-export]")) {
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const job = await post("/v1/jobs", { kind: "export", model, formats: [button.dataset.export] });
      location.assign(`/ui/jobs/${job.id}`);
    } catch (error) {
      button.disabled = false;
      toast(error.message, "bad");
    }
  });
}

deletes("model", "/v1/models", "/ui/models");

const form = document.getElementById("recommend");
if (form) suggest(form, document.getElementById("recommendations"));
