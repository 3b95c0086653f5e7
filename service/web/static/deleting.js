// A button that asks before something is deleted, and where one goes then.
import { request } from "./api.js";
import { toast } from "./toast.js";

/** For `#delete-<kind>`, a dialog of `parts.html`, and the button that opens it. */
export function deletes(kind, path, then) {
  const dialog = document.getElementById(`delete-${kind}`);
  if (!dialog) return;
  document.querySelector(`[data-opens="delete-${kind}"]`).addEventListener("click", () => dialog.showModal());
  dialog.addEventListener("close", async () => {
    if (dialog.returnValue !== "delete") return;
    try {
      await request("DELETE", `${path}/${dialog.dataset.id}`);
      location.assign(then);
    } catch (error) {
      toast(error.message, "bad");
    }
  });
}
