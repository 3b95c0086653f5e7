import { refresh, renew } from "./refresh.js";
import { filled, registers } from "./register.js";
import { toast } from "./toast.js";

const dialog = document.getElementById("register-dataset");
if (dialog) {
  const form = dialog.querySelector("form");
  form.elements.file.addEventListener("change", () => {
    const name = form.elements.file.files[0]?.name.toLowerCase() ?? "";
    const format = { npz: "npz", parquet: "parquet" }[name.split(".").pop()];
    if (format) form.elements.format.value = format;
  });
  registers(dialog, {
    path: "/v1/datasets",
    body: (shown, file) => ({
      file,
      ...filled(shown, "name", "format", "validation_share", "image_size"),
    }),
    done(dataset) {
      toast(`${dataset.name} is being checked`);
      renew();
    },
  });
}

refresh(1000, () => document.querySelector('[data-live] [data-status="checking"]') !== null);
