// The page that verifies a certificate or a receipt: two file fields and a verdict. The file never leaves the browser.
import { verify, verifyReceipt } from "./certificate.js";

const form = document.getElementById("check");
const verdict = document.getElementById("verdict");
const certificate = document.getElementById("certificate");
const keys = document.getElementById("keys");
const MAX_BYTES = 4 * 1024 * 1024;

function say(kind, line, findings = []) {
  const box = document.createElement("div");
  box.className = `message ${kind}`;
  const head = document.createElement("p");
  head.append(line);
  box.append(head);
  if (findings.length) {
    const list = document.createElement("ul");
    list.lang = "en";
    list.dir = "ltr";
    for (const finding of findings) {
      const item = document.createElement("li");
      item.append(finding); // text, never markup
      list.append(item);
    }
    box.append(list);
  }
  verdict.replaceChildren(box);
}

async function read(file) {
  if (file.size > MAX_BYTES) throw new Error("too large");
  return JSON.parse(await file.text());
}

async function publicKeys() {
  if (keys.files.length) return read(keys.files[0]);
  const answer = await fetch(form.dataset.jwks, { credentials: "omit" });
  if (!answer.ok) throw new Error("no keys");
  return answer.json();
}

async function check() {
  if (!certificate.files.length) return;
  const words = form.dataset;
  say("info", words.checking);
  let document_, jwks;
  try {
    document_ = await read(certificate.files[0]);
  } catch {
    say("error", words.unreadable);
    return;
  }
  try {
    jwks = await publicKeys();
  } catch {
    say("error", words.noKeys);
    return;
  }
  const isReceipt = document_?.object === "privacy.consent_receipt";
  const findings = await (isReceipt ? verifyReceipt : verify)(document_, jwks);
  if (findings.length) say("error", words.invalid, findings);
  else say("good", isReceipt ? words.validChoice : words.valid);
}

document.getElementById("no-script").hidden = true;
form.hidden = false;
form.addEventListener("submit", (event) => event.preventDefault());
certificate.addEventListener("change", check);
keys.addEventListener("change", check);
check(); // a file may have been chosen before this script was there
