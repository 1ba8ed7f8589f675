// Walks through the dashboard in a real Chromium: node dashboard.mjs URL KEY CHROMIUM TOOLS PICTURES DEAD_JOB VERDICT_JOB FAILED_DELIVERY
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";
import { launch, open, ownKey, signIn } from "./browser.mjs";

const [url, key, executablePath, tools, pictures, deadJob, verdictJob, failedDelivery] = process.argv.slice(2);
const axe = createRequire(join(tools, "package.json")).resolve("axe-core/axe.min.js");
const browser = await launch(executablePath, tools);

/** No finding of axe-core that it calls serious or critical (https://www.deque.com/axe/core-documentation/). */
async function accessible(page, where) {
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.addScriptTag({ path: axe });
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const grave = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
  assert.deepEqual(grave.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).slice(0, 3).join(" ")}`), [], where);
}

/** Clicks the first of these links, and waits for what it leads to. */
async function follow(page, link, shown) {
  await page.locator(link).first().click();
  await page.locator(shown).waitFor().catch(async (error) => {
    throw new Error(`${shown} at ${page.url()}: ${await page.locator("main").innerText()} ${error.message}`);
  });
}

try {
  // A page of its own: the browser reports the refused requests as errors, some of them late.
  const stranger = await browser.newPage();
  await stranger.goto(url);
  assert.ok(await stranger.getByRole("heading", { name: "Sign in" }).isVisible(), "a stranger sees the sign-in only");
  assert.equal(await stranger.locator("#history li").count(), 0, "a stranger sees no data");
  await signIn(stranger, "wrong");
  await stranger.getByRole("alert").filter({ hasText: "X-API-Key" }).waitFor();
  // A link with a key, pasted into the address of the open sign-in page: no new page is loaded.
  await stranger.evaluate((brought) => (location.hash = `#key=${brought}`), key);
  await stranger.locator("#model-version", { hasText: /^lgbm_v/ }).waitFor();
  assert.equal(new URL(stranger.url()).hash, "", "the key does not stay in the address");
  // And into a page that is signed in already: who it belongs to is who is signed in then.
  await stranger.evaluate(() => (location.hash = "#key=wrong"));
  await stranger.getByRole("alert").filter({ hasText: "X-API-Key" }).waitFor();
  assert.equal(new URL(stranger.url()).hash, "", "a wrong key does not stay there either");
  await stranger.close();

  const problems = [];
  // bypassCSP for axe alone, which is injected: the page itself is tried under its policy by every other check.
  const context = await browser.newContext({ viewport: { width: 1100, height: 900 } });
  const page = await context.newPage();
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  page.on("pageerror", (error) => problems.push(String(error)));
  await page.goto(url);
  await page.screenshot({ path: join(pictures, "sign-in.png") });
  await signIn(page, key);

  // Overview.
  await page.locator("#classes li").first().waitFor();
  // The cards and the chart are asked for apart: either may come first.
  await page.locator("#model-version", { hasText: /^lgbm_v/ }).waitFor();
  assert.ok(Number(await page.locator("#inference-count").textContent()) > 0);
  assert.match(await page.locator("#timeline svg").getAttribute("aria-label"), /failed runs in 14 days/);
  const gap = await page.evaluate(() => document.querySelector(".cards").getBoundingClientRect().top - document.querySelector("nav").getBoundingClientRect().bottom);
  assert.ok(gap >= 12, `there is room between the navigation and the cards (${gap} px)`);
  await page.screenshot({ path: join(pictures, "overview.png") });
  const cookies = await context.cookies();
  assert.deepEqual(cookies.map(({ httpOnly, sameSite }) => [httpOnly, sameSite]), [[true, "Strict"]], "a cookie no script reads");
  assert.equal(await page.evaluate(() => document.cookie + JSON.stringify(sessionStorage)), "{}", "no key is kept in the page");

  // All verdicts: filtered, corrected, linked.
  await open(page, "Failures");
  await page.getByRole("link", { name: "All verdicts" }).click();
  await page.locator("#history li").first().waitFor();
  await page.locator("#filter select").selectOption("Test Failure");
  await page.waitForFunction(() => [...document.querySelectorAll("#history .verdict")].every((verdict) => verdict.textContent === "Test Failure"));
  await page.locator("#filter [name=repository]").fill("no/such");
  await page.locator("#empty").waitFor();
  await page.locator("#filter [name=repository]").fill("");
  const entry = page.locator("#history li").filter({ hasText: "Test Failure" }).first();
  await entry.locator("summary").click();
  assert.match(await entry.locator(".line").textContent(), /failed/i);
  assert.ok((await entry.locator(".term").count()) > 0, "the terms behind the verdict are shown");
  assert.match(await entry.locator(".run a").getAttribute("href"), /^https:\/\/github\.com\//);
  await entry.getByLabel("No, it was").selectOption("Timeout");
  await entry.getByRole("status").filter({ hasText: "Corrected to Timeout." }).waitFor();
  await page.screenshot({ path: join(pictures, "verdicts.png") });
  const id = await entry.locator("details").getAttribute("data-id");

  // Reviews: what was found, and another try for a dead letter.
  await open(page, "Reviews");
  const review = page.locator("#review-list li").filter({ hasText: "done" }).filter({ hasText: "1 found" }).first();
  await review.locator("summary").click();
  assert.match(await review.locator(".findings").textContent(), /src\/load\.ts:2 bug/, "a review shows its findings");
  assert.match(await review.locator(".hunk").first().textContent(), / export function load\(\) \{\n\+ {2}debugger;/, "with the lines around");
  await page.screenshot({ path: join(pictures, "reviews.png") });
  // A verdict that is told on GitHub is no pull request: it is listed by itself, and leads to its failure.
  const verdict = page.locator(`#review-list details[data-id="${verdictJob}"]`);
  assert.equal(await verdict.count(), 0, "a verdict is not listed as a pull request");
  await page.getByLabel("Show").selectOption({ label: "verdicts told on GitHub" });
  await verdict.locator("summary").click();
  assert.match(await verdict.locator(".where").textContent(), /^acme\/given-up · run:1:1$/);
  assert.match(await verdict.getByRole("link", { name: /^verdict \d+$/ }).getAttribute("href"), /^\/\?inference=\d+$/);
  assert.equal(await page.locator("#review-list .where").filter({ hasText: "#" }).count(), 0, "nor is a pull request listed as a verdict");
  await page.screenshot({ path: join(pictures, "reviews-verdicts.png") });
  await page.getByLabel("Show").selectOption({ label: "pull requests" });
  await page.locator("#review-status").selectOption("dead");
  const dead = page.locator(`#review-list details[data-id="${deadJob}"]`);
  await dead.locator("summary").click();
  await dead.getByRole("button", { name: "Replay" }).click();
  await dead.getByRole("status").filter({ hasText: "Queued again." }).waitFor();

  // Drift: a cell opens its histograms.
  await open(page, "Drift");
  const cell = page.locator("#heatmap button[data-severity=severe]").last();
  await cell.waitFor();
  await cell.focus();
  await page.keyboard.press("Enter");
  await page.locator("#histogram svg").waitFor();
  assert.match(await page.locator("#histogram-title").textContent(), /severe/);
  await page.screenshot({ path: join(pictures, "drift.png") });

  // Deliveries: the ledger, and redelivery of one that was given up.
  await open(page, "Deliveries");
  await page.locator("#delivery-status").selectOption("failed");
  const failed = page.locator("#ledger tr").filter({ hasText: failedDelivery });
  await failed.getByRole("button", { name: `Redeliver ${failedDelivery}` }).click();
  await failed.getByRole("status").filter({ hasText: "Queued." }).waitFor();
  await page.locator("#delivery-status").selectOption("");
  await page.locator("#ledger tbody tr").nth(1).waitFor();
  await page.screenshot({ path: join(pictures, "deliveries.png") });

  // Models: compared, promoted and rolled back, each only after a yes.
  await open(page, "Models");
  const candidate = page.locator("#model-list > li").filter({ hasText: "candidate" }).or(page.locator("#model-list > li").filter({ hasText: "retired" })).first();
  await candidate.getByRole("button", { name: "Compare verdicts" }).click();
  await candidate.getByRole("status").filter({ hasText: /\d+ of \d+ verdicts would differ/ }).waitFor();
  const version = (await candidate.locator("h3").textContent()).split(" ")[0];
  const before = await page.locator("#serving").textContent();
  await candidate.getByRole("button", { name: "Promote" }).click();
  await page.getByRole("button", { name: "Cancel" }).click();
  assert.equal(await page.locator("#serving").textContent(), before, "a no changes nothing");
  await candidate.getByRole("button", { name: "Promote" }).click();
  await page.getByRole("button", { name: "Yes" }).click();
  await page.locator("#serving").filter({ hasText: version }).waitFor();
  await page.screenshot({ path: join(pictures, "models.png") });
  await page.getByRole("button", { name: "Roll back" }).click();
  await page.getByRole("button", { name: "Yes" }).click();
  await page.locator("#serving").filter({ hasText: before }).waitFor();

  // Playground: in this browser, and nothing is sent.
  await open(page, "Playground");
  const sent = [];
  page.on("request", (request) => request.method() !== "GET" && sent.push(request.url()));
  await page.getByRole("button", { name: "A sample" }).click();
  await page.getByRole("button", { name: "Classify" }).click();
  await page.getByRole("status").filter({ hasText: "in this browser" }).waitFor();
  assert.match(await page.locator("#playground-verdicts .verdict").textContent(), /^(Probably )?Dependency Error$/);
  await page.screenshot({ path: join(pictures, "playground.png") });
  await page.locator("#log-file").setInputFiles(join(import.meta.dirname, "../fixtures/logs/gh-log.log"));
  await page.locator("#playground-verdicts article").nth(2).waitFor();
  assert.deepEqual(await page.locator("#playground-verdicts .place").allTextContents(), ["lint", "test (22) / Unit tests", "build / Compile"]);
  assert.deepEqual((await page.locator("#playground-verdicts .verdict").allTextContents()).slice(0, 2), ["No failure found", "Test Failure"]);
  await page.getByLabel("Job log or diff").fill("--- a/x.js\n+++ b/x.js\n@@ -1 +1,2 @@\n a\n+  debugger;\n");
  await page.getByRole("button", { name: "Classify" }).click();
  await page.locator("#playground-findings").filter({ hasText: "x.js:2 bug" }).waitFor();
  assert.deepEqual(sent, [], "nothing left the browser");

  // A link from a pull request's comment.
  await page.goto(`${url}/?inference=${id}`);
  const pointed = page.locator(`#history details[data-id="${id}"]`);
  await pointed.getByRole("status").filter({ hasText: "Corrected to Timeout." }).waitFor();
  assert.ok((await pointed.getAttribute("open")) !== null, "a link opens its inference");

  // A desk and a phone, in either scheme.
  for (const [width, height] of [[1280, 900], [390, 844]]) {
    await page.setViewportSize({ width, height });
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      for (const name of ["Overview", "Failures", "Reviews", "Drift", "Deliveries", "Models", "Playground"]) {
        await open(page, name);
        await page.waitForTimeout(150);
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(overflow <= 0, `nothing sticks out of ${name} at ${width} px (${overflow} px)`);
        await page.screenshot({ path: join(pictures, `${name.toLowerCase()}-${width}-${colorScheme}.png`) });
      }
      await open(page, "Failures");
      for (const [name, link, shown] of [["cause", "#cause-list .cause-line", "#cause-title"], ["run", "#cause-runs a.cause-line", "#headline"]]) {
        await follow(page, link, shown);
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(overflow <= 0, `nothing sticks out of a ${name} at ${width} px (${overflow} px)`);
        await page.screenshot({ path: join(pictures, `${name}-${width}-${colorScheme}.png`) });
      }
    }
  }
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  assert.deepEqual(await context.cookies(), [], "nothing is left of the session");
  assert.deepEqual(problems, [], "no console errors");
  await context.close();

  // What a screen reader and the keyboard meet, in both schemes.
  for (const colorScheme of ["light", "dark"]) {
    const inspected = await browser.newContext({ bypassCSP: true, colorScheme });
    const walk = await inspected.newPage();
    await walk.goto(url);
    await accessible(walk, `sign-in, ${colorScheme}`);
    await walk.goto(`${url}/setup`);
    await accessible(walk, `setup, ${colorScheme}`);
    await walk.goto(url);
    await signIn(walk, await ownKey(url, key, `walk, ${colorScheme}`));
    await walk.locator("#classes li").first().waitFor();
    for (const name of ["Overview", "Failures", "Reviews", "Drift", "Deliveries", "Models", "Playground"]) {
      await open(walk, name);
      await walk.waitForTimeout(300);
      const details = walk.locator("main details").first();
      if (await details.isVisible()) await details.locator("summary").click();
      await accessible(walk, `${name}, ${colorScheme}`);
    }
    // The pages that the list of causes leads to.
    await open(walk, "Failures");
    await walk.waitForTimeout(300);
    await follow(walk, "#cause-list .cause-line", "#cause-title");
    await accessible(walk, `a cause, ${colorScheme}`);
    await follow(walk, "#cause-runs a.cause-line", "#headline");
    await accessible(walk, `a run, ${colorScheme}`);
    await walk.evaluate(() => (location.hash = "#verdicts"));
    await walk.locator("#history summary").first().click();
    await accessible(walk, `all verdicts, ${colorScheme}`);
    await inspected.close();
  }
  console.log("the dashboard works");
} finally {
  await browser.close();
}
