// Verifies a certificate, and a receipt of a choice: the same checks, in the same order and words, as chatapi/certificates.py (a test
// gives both the same forgeries). WebCrypto alone (W3C, "Web Cryptography API"); nothing is sent anywhere.

const OUTCOMES = new Set([
  "deleted", "shredded", "held", "nothing_found", "failed", "exported", "corrected", "kept_beside", "recorded",
  "imported",
]);
const text = new TextEncoder();
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

class NotCanonical extends Error {}

// The one JSON text of a value: keys sorted, no spaces, integers only.
export function canonical(value) {
  if (value === null || typeof value === "boolean") return JSON.stringify(value);
  if (typeof value === "string") {
    if (!value.isWellFormed()) throw new NotCanonical();
    return JSON.stringify(value);
  }
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value)) throw new NotCanonical();
    return String(value);
  }
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  const keys = Object.keys(value).sort();
  if (!keys.every((key) => /^[\x00-\x7f]*$/.test(key))) throw new NotCanonical();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(",")}}`;
}

function unb64url(part) {
  if (!/^[A-Za-z0-9_-]*$/.test(part)) throw new Error("not base64url");
  const bytes = Uint8Array.from(atob(part.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  if (b64url(bytes) !== part) throw new Error("not base64url");
  return bytes;
}

const b64url = (bytes) => btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const sha256 = async (bytes) => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

function unhex(value) {
  if (typeof value !== "string" || !/^([0-9a-f]{2})*$/.test(value)) throw new Error("not hexadecimal");
  return Uint8Array.from(value.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

// Length-prefixed parts, see chatapi/vault/lp.py.
function lp(...parts) {
  const out = [];
  for (const part of parts) {
    const [tag, bytes] =
      typeof part === "string" ? ["s", text.encode(part)]
      : typeof part === "number" ? ["i", text.encode(String(part))]
      : ["b", part];
    out.push(...text.encode(`${tag}${bytes.length}:`), ...bytes);
  }
  return new Uint8Array(out);
}

async function proofHolds(shown, digest) {
  try {
    if (!Number.isSafeInteger(shown.seq) || !Number.isSafeInteger(shown.at) || typeof shown.event !== "string") return false;
    const opening = unhex(shown.opening);
    const prev = unhex(shown.prev);
    const commitment = await sha256(lp(opening, digest));
    const hash = await sha256(lp(prev, shown.seq, shown.event, shown.at, commitment));
    return (
      Object.keys(shown).length === 7 && opening.length === 32 && prev.length === 32 &&
      shown.commitment === hex(commitment) && shown.hash === hex(hash)
    );
  } catch {
    return false;
  }
}

// Throws NotCanonical for a payload that is not.
async function signature(jws, payload, jwks) {
  const signed = b64url(text.encode(canonical(payload)));
  try {
    const parts = String(jws).split(".");
    if (parts.length !== 3) throw new Error();
    const [head, body, raw] = parts;
    const header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(unb64url(head)));
    if (!isObject(header) || Object.keys(header).sort().join() !== "alg,kid,typ" || header.alg !== "ES256") {
      return ["the signature is not ES256 with a key id"];
    }
    const keys = Array.isArray(jwks.keys) ? jwks.keys : [];
    const jwk = keys.find((key) => isObject(key) && key.kid === header.kid && key.kty === "EC" && key.crv === "P-256");
    if (!jwk) return ["the signing key is not in the key set"];
    const bytes = unb64url(raw);
    const wanted = { kty: "EC", crv: "P-256", x: jwk.x, y: jwk.y };
    const key = await crypto.subtle.importKey("jwk", wanted, { name: "ECDSA", namedCurve: "P-256" }, false, ["verify"]);
    const good = await crypto.subtle.verify(
      { name: "ECDSA", hash: "SHA-256" }, key, bytes, text.encode(`${head}.${body}`),
    );
    if (!good) return ["the signature does not hold"];
    return signed === body ? [] : ["the payload is not what was signed"];
  } catch {
    return ["the signature does not hold"];
  }
}

function statements(payload) {
  const found = [];
  const stores = payload.stores;
  if (!Array.isArray(stores) || stores.length === 0 || !stores.every(isObject)) return ["no store is accounted for"];
  for (const { outcome, count } of stores) {
    if (!OUTCOMES.has(outcome) || !Number.isSafeInteger(count) || count < 0) {
      found.push("a store has an outcome that is none");
    } else if (outcome === "failed") {
      found.push("a store has failed");
    } else if ((outcome === "nothing_found") !== (count === 0)) {
      found.push("a store's outcome and its count contradict each other");
    }
  }
  const named = new Set(stores.map(({ store }) => store));
  if (!named.has("vault") || !named.has("records")) found.push("the vault or the records are not accounted for");
  const canary = payload.canary ?? null;
  const shredded = stores.some(({ outcome }) => outcome === "shredded");
  if ((shredded || canary !== null) && (!isObject(canary) || canary.opens !== false)) {
    found.push("the canary is not shown to be unreadable");
  }
  return found;
}

// What is wrong with a certificate, as fixed texts; empty where it holds.
export async function verify(certificate, jwks) {
  const payload = certificate?.payload;
  if (certificate?.object !== "privacy.certificate" || !isObject(payload)) return ["not a certificate"];
  let found;
  try {
    found = await signature(certificate.jws, payload, isObject(jwks) ? jwks : {});
    if (payload.version !== 1) return [...found, "a version that this verifier does not know"];
    const { ledger, ...rest } = payload;
    const digest = await sha256(text.encode(canonical(rest)));
    if (!isObject(ledger) || !(await proofHolds(ledger, digest))) found.push("the ledger's proof does not hold");
  } catch {
    return ["the payload is not canonical"];
  }
  if (payload.request !== certificate.request) found.push("the certificate names another request than its payload");
  return found.concat(statements(payload));
}

// What is wrong with a receipt of a choice: its signature covers every other field.
export async function verifyReceipt(receipt, jwks) {
  const { jws = null, ...payload } = receipt ?? {};
  if (payload.object !== "privacy.consent_receipt" || !isObject(payload.record)) return ["not a receipt"];
  if (jws === null) return ["the receipt is not signed yet"];
  try {
    return await signature(jws, payload, isObject(jwks) ? jwks : {});
  } catch {
    return ["the payload is not canonical"];
  }
}
