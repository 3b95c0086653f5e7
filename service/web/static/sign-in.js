// `modelpress up` prints a link whose fragment is the key: it never leaves the browser, and goes
// from the address bar and the history at once.
function signIn() {
  const given = new URLSearchParams(location.hash.slice(1)).get("key");
  if (!given) return;
  history.replaceState(null, "", location.pathname + location.search);
  document.getElementById("key").value = given;
  document.querySelector("main form").requestSubmit();
}

signIn();
addEventListener("hashchange", signIn); // the link was followed on this very page
