// Keeps a request's page up to date while it is being worked on. Without this script the page has a link to refresh.
const section = document.getElementById("follow");
const PAUSE = 4000;

async function again() {
  const answer = await fetch(location.href, { headers: { accept: "text/html" }, redirect: "error" });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById("follow");
  if (!fresh) return;
  if (fresh.dataset.live !== "yes") {
    location.reload(); // it has ended: what hangs on its state is outside the section too
  } else if (fresh.innerHTML !== section.innerHTML) {
    section.replaceChildren(...fresh.childNodes); // announced: the section is a live region
  }
}

if (section?.dataset.live === "yes") {
  const tick = () =>
    again()
      .catch(() => {}) // the session has ended, or there is no network: the page stays as it is
      .finally(() => setTimeout(tick, PAUSE));
  setTimeout(tick, PAUSE);
}
