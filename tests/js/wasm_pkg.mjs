// The npm package in Node, as it is packed and installed: node wasm_pkg.mjs PACKAGE GOLDENS LOG WRANGLER_FOLDER LOGS
// LOGS is a folder of logs, archives and `native.json`, which holds what the native build says about each.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHmac } from "node:crypto";
import { cpSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [folder, goldens, log, tools, logs] = process.argv.slice(2);
/** Equal, but for the last digits of a float. */
function alike(ours, expected, where) {
  if (typeof expected === "number" && !Number.isInteger(expected)) {
    assert.ok(Math.abs(ours - expected) <= 1e-4, `${where}: ${ours} for ${expected}`);
  } else if (expected && typeof expected === "object") {
    assert.deepEqual(Object.keys(ours), Object.keys(expected), where);
    for (const key of Object.keys(expected)) alike(ours[key], expected[key], `${where}.${key}`);
  } else {
    assert.equal(ours, expected, where);
  }
}

const place = mkdtempSync(join(tmpdir(), "sentinel-npm-"));
const run = (program, ...args) => execFileSync(program, args, { cwd: place, encoding: "utf8" });
try {
  const [packed] = JSON.parse(run("npm", "pack", folder, "--json", "--pack-destination", place));
  console.log(`${packed.filename}: ${packed.size} bytes packed, ${packed.unpackedSize} unpacked`);
  writeFileSync(join(place, "package.json"), '{ "private": true, "type": "module" }');
  run("npm", "install", "--offline", "--no-audit", "--no-fund", join(place, packed.filename));
  const { load, Sentinel } = await import(createRequire(join(place, "x.js")).resolve("@sentinel/failure-classifier"));
  const sentinel = await load();

  let worst = 0;
  for (const line of readFileSync(goldens, "utf8").trim().split("\n")) {
    const golden = JSON.parse(line);
    const row = new Float32Array(884);
    for (const [column, value] of Object.entries(golden.features)) row[column] = value ?? NaN;
    const ours = sentinel.predict(row);
    ours.forEach((p, at) => (worst = Math.max(worst, Math.abs(p - golden.probabilities[at]))));
    assert.equal(ours.indexOf(Math.max(...ours)), golden.probabilities.indexOf(Math.max(...golden.probabilities)));
  }
  assert.ok(worst <= 1e-5, `the largest difference is ${worst}`);
  assert.throws(() => sentinel.predict([1, 2, 3]));
  assert.throws(() => new Sentinel(new Uint8Array(40)));

  const verdict = sentinel.classify("write error: No space left on device\n");
  assert.equal(verdict.top[0].class, "Resource Exhaustion");
  assert.equal(verdict.line.number, 1);
  assert.equal(verdict.model_version, sentinel.model.model_version);
  assert.equal(sentinel.classify({ error_message: "write error: No space left on device", retry_count: 1 }).prediction, verdict.prediction);
  assert.throws(() => sentinel.classify({}), /give a log/);
  assert.equal(sentinel.model.classes.length, 10);
  assert.equal(sentinel.excerpt("a\nerror: b\n").log_lines, 2);
  assert.equal(sentinel.words("err_resolv", "unable to resolve it"), "“resolve” in an error line");
  assert.equal(verdict.jobs.length, 1);
  assert.throws(() => sentinel.classify(""), /this is empty/);
  assert.throws(() => sentinel.classify(new Uint8Array(1000)), /this is not a text log/);

  // The same as the native build, over every format.
  const native = JSON.parse(readFileSync(join(logs, "native.json"), "utf8"));
  for (const [name, expected] of Object.entries(native)) {
    const bytes = readFileSync(join(logs, name));
    alike(await sentinel.classifyFile(bytes), expected, name);
    alike(await sentinel.classifyFile(new Blob([bytes])), expected, name);
    if (name.endsWith(".log")) alike(sentinel.classify(bytes), expected, name);
  }
  const archive = readFileSync(join(logs, "root.zip"));
  for (const cut of [10, 100, archive.length - 30]) {
    await assert.rejects(sentinel.classifyFile(archive.subarray(0, cut)), /no complete .zip archive/, `cut at ${cut}`);
  }
  await assert.rejects(sentinel.classifyFile(archive, { job: "none" }), /no job is called none; there are: lint, test/);
  assert.equal((await sentinel.classifyFile(archive, { job: "test" })).jobs.length, 1);
  const diff = "--- a/x.js\n+++ b/x.js\n@@ -1 +1,2 @@\n a\n+  debugger;\n";
  assert.deepEqual(sentinel.checkDiff(diff).map(({ path, line }) => [path, line]), [["x.js", 2]]);
  assert.throws(() => sentinel.checkDiff("@@ -1,9 +1,9 @@\n+x\n"));
  const header = "sha256=" + createHmac("sha256", "s").update("body").digest("hex");
  assert.ok(sentinel.verifySignature("s", header, "body"));
  assert.ok(sentinel.verifySignature("s", header, Buffer.from("body")));
  assert.ok(!sentinel.verifySignature("other", header, "body"));
  assert.ok(!sentinel.verifySignature("", header, "body"));
  assert.ok(!sentinel.verifySignature("s", null, "body"));

  // The examples, as a stranger runs them.
  cpSync(join(folder, "../npm/examples"), join(place, "examples"), { recursive: true });
  assert.match(run("node", "examples/node.mjs", log), /^Test Failure \(\d+ %\)\nline \d+: /);
  const config = 'name = "example"\nmain = "examples/worker.mjs"\ncompatibility_date = "2026-04-01"\n';
  writeFileSync(join(place, "wrangler.toml"), config);
  const wrangler = join(tools, "node_modules/.bin/wrangler");
  run(wrangler, "deploy", "--dry-run", "--outdir", "built");
  const { Miniflare } = createRequire(join(tools, "package.json"))("miniflare");
  const worker = new Miniflare({
    rootPath: join(place, "built"),
    modulesRoot: join(place, "built"),
    modules: true,
    scriptPath: "worker.js",
    modulesRules: [{ type: "ESModule", include: ["**/*.js"] }, { type: "CompiledWasm", include: ["**/*.wasm"] }, { type: "Data", include: ["**/*.bin"] }],
    compatibilityDate: "2026-04-01",
  });
  try {
    const answer = await worker.dispatchFetch("http://worker/", { method: "POST", body: readFileSync(log, "utf8") });
    assert.equal((await answer.json()).prediction, "Test Failure", "the Worker example");
  } finally {
    await worker.dispose();
  }
  // Types that fit the code: every member that is declared is there.
  const declared = readFileSync(join(folder, "index.d.ts"), "utf8").split("class Sentinel {")[1].split("\n}")[0];
  for (const [, name] of declared.matchAll(/^  (?:readonly )?(\w+)[(:]/gm)) {
    assert.ok(name === "constructor" || name in sentinel, `${name} is declared`);
  }
  console.log(`${(statSync(join(folder, "sentinel_wasm_bg.wasm")).size / 1e6).toFixed(1)} MB of wasm`);
} finally {
  rmSync(place, { recursive: true, force: true });
}
