import { isPicking, picksToCompare } from "./picking.js";
import { refresh, renew } from "./refresh.js";
import { filled, registers } from "./register.js";
import { toast } from "./toast.js";

const dialog = document.getElementById("register-model");
if (dialog) {
  registers(dialog, {
    path: "/v1/models",
    body: (form, file) => ({ file, ...filled(form, "name", "architecture", "classes"), ...lists(form) }),
    done(model) {
      toast(`${model.name} is being checked`);
      renew();
    },
  });
}

/** Fields that hold several values with commas between. */
function lists(form) {
  const of = (name) => form.elements[name].value.split(",").map((part) => part.trim()).filter(Boolean);
  const found = {};
  if (of("input_size").length) found.input_size = of("input_size").map(Number);
  if (of("labels").length) found.labels = of("labels");
  if (of("mean").length || of("std").length) {
    found.normalisation = { mean: of("mean").map(Number), std: of("std").map(Number) };
  }
  return found;
}

picksToCompare();

const isChecking = () => document.querySelector('[data-live] [data-status="checking"]') !== null;
refresh(1000, () => isChecking() && !isPicking());
