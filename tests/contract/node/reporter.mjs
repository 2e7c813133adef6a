// One JSON line for each test: {name, passed, error}.
import { inspect } from "node:util";

export default async function* report(events) {
  for await (const { type, data } of events) {
    if (type !== "test:pass" && type !== "test:fail") continue;
    const error = data.details.error && inspect(data.details.error.cause ?? data.details.error);
    yield JSON.stringify({ name: data.name, passed: type === "test:pass", error }) + "\n";
  }
}
