// The wasm package in Node: node wasm_pkg.mjs PACKAGE BUNDLE GOLDENS
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [folder, bundle, goldens] = process.argv.slice(2);
const { FailureClassifier, excerpt, verifySignature } = createRequire(import.meta.url)(join(folder, "sentinel_wasm.js"));
const classifier = new FailureClassifier(readFileSync(bundle));
let worst = 0;
for (const line of readFileSync(goldens, "utf8").trim().split("\n")) {
  const golden = JSON.parse(line);
  const row = new Float32Array(884);
  for (const [column, value] of Object.entries(golden.features)) row[column] = value ?? NaN;
  const ours = classifier.predict(row);
  ours.forEach((p, at) => (worst = Math.max(worst, Math.abs(p - golden.probabilities[at]))));
  assert.equal(ours.indexOf(Math.max(...ours)), golden.probabilities.indexOf(Math.max(...golden.probabilities)));
}
assert.ok(worst <= 1e-5, `the largest difference is ${worst}`);
assert.throws(() => classifier.predict(new Float32Array(3)));
assert.throws(() => new FailureClassifier(new Uint8Array(40)));
const verdict = JSON.parse(classifier.classifyLog("write error: No space left on device\n"));
assert.equal(verdict.top[0].class, "Resource Exhaustion");
assert.equal(JSON.parse(excerpt("a\nerror: b\n")).log_lines, 2);
const header = "sha256=" + createHmac("sha256", "s").update("body").digest("hex");
assert.ok(verifySignature("s", header, Buffer.from("body")));
assert.ok(!verifySignature("other", header, Buffer.from("body")));
assert.ok(!verifySignature("", header, Buffer.from("body")));
