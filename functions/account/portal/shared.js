// What the pages of a project have in common: elements, messages, and asking the API with a key. The key lives in its
// field alone: it is read for each request and kept nowhere else.
export const $ = (id) => document.getElementById(id);

export function element(name, attributes = {}, ...children) {
  const made = name.startsWith("svg:")
    ? document.createElementNS("http://www.w3.org/2000/svg", name.slice(4))
    : document.createElement(name);
  for (const [key, text] of Object.entries(attributes)) made.setAttribute(key, text);
  made.append(...children); // strings become text: nothing that came over the wire is ever markup
  return made;
}

export function say(text, bad = false) {
  $("message").className = bad ? "message error" : "message";
  $("message").textContent = text;
}

function typed() {
  const key = $("key").value.trim();
  if (!/^chatapi_live_[0-9A-Za-z]{57}$/.test(key)) {
    $("key").focus();
    throw new Error("This is not a whole key: it begins with chatapi_live_ and has 70 characters.");
  }
  return key;
}

async function problem(response, scope) {
  let error = {};
  try {
    error = (await response.json()).error ?? {};
  } catch {
    // not ours: the status has to do
  }
  const wait = response.headers.get("retry-after");
  const again = wait ? ` Try again in ${wait} seconds.` : " Try again in a moment.";
  if (response.status === 401) return "This key is not accepted. It may be mistyped, expired or revoked: copy it again, or make a new one.";
  if (error.code === "insufficient_scope") return `This key lacks the scope “${scope}”. Make one that has it, for example: chatapi keys create PROJECT --scope ${scope}`;
  if (error.code === "address_not_allowed") return "This key may not be used from your address. Use it from one on its list, or another key.";
  if (error.code === "insufficient_quota") return `The project's quota is used up, or it is suspended. ${error.message ?? ""}`;
  if (response.status === 429) return `Too many requests with this project's keys.${again}`;
  if (response.status < 500 && error.message) return `${error.message}${error.param ? ` (${error.param})` : ""}`;
  return `The service cannot answer at the moment (${response.status}).${again}`;
}

// A page asks routes of one scope. `API` is below the stage, where there is one.
export const API = new URL("../v1/", document.baseURI);

export async function ask(url, scope, { method = "GET", accept = "application/json", body } = {}) {
  const headers = { authorization: `Bearer ${typed()}`, accept };
  if (body !== undefined) headers["content-type"] = "application/json";
  let response;
  try {
    response = await fetch(url, {
      method, headers, body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store", credentials: "omit", redirect: "error", referrerPolicy: "no-referrer",
      signal: AbortSignal.timeout(30000),
    });
  } catch {
    throw new Error("The API does not answer. Check your connection and try again.");
  }
  if (!response.ok) throw new Error(await problem(response, scope));
  return response;
}

export const read = (response) => response.json().catch(() => { throw new Error("The answer cannot be read. Try again."); });

let asked = 0;

// One thing at a time: the page's buttons rest while `work` runs, and what fails is told. Whether it went well.
export async function busy(work) {
  const turn = ++asked;
  const buttons = [...document.querySelectorAll("main button")];
  for (const button of buttons) button.disabled = true;
  say("Asking …");
  try {
    await work();
    return true;
  } catch (error) {
    say(error.message, true);
    return false;
  } finally {
    if (turn === asked) for (const button of buttons) button.disabled = false;
  }
}

window.addEventListener("pagehide", () => { $("key").value = ""; }); // also for the page that "back" would restore
