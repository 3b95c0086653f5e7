// On every page: signing out, and times that grow older while one looks at them.
import { request } from "./api.js";
import { age } from "./format.js";
import { toast } from "./toast.js";

document.querySelector("[data-sign-out]")?.addEventListener("click", async () => {
  try {
    await request("DELETE", "/ui/session");
    location.assign("/ui/sign-in");
  } catch (error) {
    toast(error.message, "bad");
  }
});

function growOlder() {
  for (const time of document.querySelectorAll("time[datetime][data-age]")) {
    time.textContent = age(time.dateTime);
  }
}

growOlder();
setInterval(growOlder, 10_000);
