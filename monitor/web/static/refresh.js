// Puts the newest state in place every five seconds; without this script the page reloads itself.
"use strict";

const EVERY = 5000;

async function refresh() {
  const selecting = String(document.getSelection()) !== "";
  if (document.hidden || selecting) return;
  try {
    const answer = await fetch(location.pathname, { cache: "no-store" });
    if (answer.status === 401) return location.reload(); // the session is over; the page leads to the login
    if (!answer.ok) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.getElementById("live").replaceWith(document.adoptNode(page.getElementById("live")));
    document.title = page.title;
    document.body.classList.remove("lost");
  } catch {
    document.body.classList.add("lost");
  }
}

setInterval(refresh, EVERY);
document.addEventListener("visibilitychange", refresh);
