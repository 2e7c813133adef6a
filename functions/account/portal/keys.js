// The page of keys: list, make, rotate, revoke. A secret is on the page from its making until it is hidden, and nowhere else.
import { $, API, ask, busy, element, read, say } from "./shared.js";

const KEYS = new URL("keys", API);
const SCOPES = {
  chat: "chat and embeddings", history: "read what is stored", privacy: "rights of end users", keys: "manage keys", usage: "read usage",
};
const count = new Intl.NumberFormat("en");
const money = new Intl.NumberFormat("en", { style: "currency", currency: "USD" });
const day = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 10);
const at = (id) => new URL(`keys/${encodeURIComponent(id)}`, API);

function state(key) {
  if (key.revoked_at !== null) return `revoked ${day(key.revoked_at)}${key.revoked_reason === "leaked" ? ": it was found in public" : ""}`;
  if (key.expires_at === null) return "live";
  return key.expires_at * 1000 > Date.now() ? `live until ${day(key.expires_at)}` : `ended ${day(key.expires_at)}`;
}

const called = (key) => key.name || key.redacted; // the operator's first key may have no name
const live = (key) => state(key).startsWith("live");

function limits(key) {
  const found = [];
  if (key.models) found.push(key.models.join(", "));
  if (key.redact) found.push(`hides ${key.redact === "all" ? "personal values" : key.redact.join(", ")} from models`);
  if (key.cidrs) found.push(`from ${key.cidrs.join(", ")}`);
  if (key.rpm !== null) found.push(`${count.format(key.rpm)} requests a minute`);
  if (key.tpm !== null) found.push(`${count.format(key.tpm)} tokens a minute`);
  if (key.spend !== null) found.push(`${money.format(key.spend / 1e6)} a month`);
  return found.join("; ") || "the project's";
}

function kept(key) {
  if (key.retention === null) return "as the project says";
  return key.retention === "none" ? "nothing" : `${key.retention.replace("history:", "")} days at most`;
}

function row(key) {
  const act = (verb, work) => {
    const button = element("button", { type: "button", class: "plain", "aria-label": `${verb} ${called(key)}, ${key.redacted}` }, verb);
    button.addEventListener("click", () => work(key));
    return button;
  };
  const acts = live(key) ? [act("Rotate", rotate), " ", act("Revoke", revoke)] : ["–"];
  const name = key.name ? [key.name, element("code", { class: "under" }, key.redacted)] : [element("code", {}, key.redacted)];
  const cells = [key.scopes.join(", "), kept(key), limits(key), key.last_used_on ?? "never", `${state(key)}, made ${day(key.created_at)}`];
  return element("tr", {}, element("th", { scope: "row" }, ...name), ...cells.map((text) => element("td", {}, text)), element("td", {}, ...acts));
}

async function list() {
  const keys = (await read(await ask(KEYS, "keys"))).data;
  const heads = ["Key", "Scopes", "Stores", "Limits", "Last used", "State", "Change"];
  $("table").replaceChildren(
    element("caption", {}, "At most eight live keys. Days are UTC."),
    element("thead", {}, element("tr", {}, ...heads.map((text) => element("th", { scope: "col" }, text)))),
    element("tbody", {}, ...keys.map(row)));
  $("result").hidden = false;
}

function reveal(secret) {
  $("secret").value = secret;
  $("made").hidden = false;
  $("made-title").focus();
}

function hide() {
  $("secret").value = "";
  $("made").hidden = true;
}

// Asked in a dialog, which the browser itself keeps the focus in and closes with Escape.
function sure(title, text, verb, overlap) {
  $("sure-title").textContent = title;
  $("sure-text").textContent = text;
  $("yes").textContent = verb;
  $("overlap-field").hidden = !overlap;
  $("sure").returnValue = "";
  $("sure").showModal();
  return new Promise((answer) => {
    $("sure").addEventListener("close", () => answer($("sure").returnValue === "yes"), { once: true });
  });
}

async function rotate(key) {
  if (!(await sure(`Rotate ${called(key)}?`, "A new key with the same fields is made; both work until the old one ends.", "Rotate", true))) return;
  await busy(async () => {
    const body = { overlap_seconds: Number($("overlap").value) };
    const made = await read(await ask(new URL(`${at(key.id)}/rotate`), "keys", { method: "POST", body }));
    reveal(made.key);
    await told("Rotated.");
  });
}

async function revoke(key) {
  if (!(await sure(`Revoke ${called(key)}?`, "Its next request is refused, for good. What uses it stops working.", "Revoke", false))) return;
  await busy(async () => {
    await ask(at(key.id), "keys", { method: "DELETE" });
    await told("Revoked.");
  });
}

// The list afterwards. Whoever revoked the very key that asks sees what happened, not that the key is refused.
async function told(text) {
  try {
    await list();
    say(text);
  } catch (error) {
    $("result").hidden = true;
    say(`${text} The list cannot be shown with this key: ${error.message}`);
  }
}

const parts = (id) => $(id).value.split(",").map((text) => text.trim()).filter(Boolean);

function wanted() {
  const scopes = [...document.querySelectorAll("#scopes input:checked")].map((box) => box.value);
  if (!scopes.length) throw new Error("Choose at least one scope.");
  const kind = $("retention").value;
  if (kind === "days" && !$("days").value) throw new Error("Say for how many days.");
  const body = { name: $("name").value, scopes };
  if (kind) body.retention = kind === "days" ? `history:${Number($("days").value)}` : kind;
  if ($("redact").value) body.redact = $("redact").value;
  if ($("expires").value) body.expires_at = Date.parse($("expires").value) / 1000;
  for (const id of ["models", "cidrs"]) if (parts(id).length) body[id] = parts(id);
  for (const id of ["rpm", "tpm"]) if ($(id).value) body[id] = Number($(id).value);
  if ($("spend").value) body.spend = Math.round(Number($("spend").value) * 1e6);
  return body;
}

$("query").addEventListener("submit", async (event) => {
  event.preventDefault();
  hide();
  const shown = await busy(async () => {
    await list();
    say("");
  });
  if (!shown) $("result").hidden = true;
});
$("create").addEventListener("submit", (event) => {
  event.preventDefault();
  busy(async () => {
    const made = await read(await ask(KEYS, "keys", { method: "POST", body: wanted() }));
    reveal(made.key);
    $("create").reset();
    $("days").disabled = true;
    await told("Made.");
  });
});
$("retention").addEventListener("change", () => { $("days").disabled = $("retention").value !== "days"; });
$("hide").addEventListener("click", hide);
$("copy").addEventListener("click", async () => {
  $("secret").select();
  try {
    await navigator.clipboard.writeText($("secret").value);
    say("Copied.");
  } catch {
    say("Your browser does not let this page copy: the key is selected, copy it by hand.");
  }
});
window.addEventListener("pagehide", hide);
for (const [scope, text] of Object.entries(SCOPES)) {
  const box = element("input", { type: "checkbox", id: `scope-${scope}`, value: scope });
  $("scopes").append(element("div", {}, box, element("label", { for: `scope-${scope}` }, `${scope}: ${text}`)));
}
