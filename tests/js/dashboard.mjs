// Opens the dashboard in a real Chromium: node dashboard.mjs URL KEY CHROMIUM TOOLS SCREENSHOT
import assert from "node:assert/strict";
import { launch, signIn } from "./browser.mjs";

const [url, key, executablePath, tools, screenshot] = process.argv.slice(2);
const browser = await launch(executablePath, tools);
try {
  // A page of its own: the browser reports the refused requests as errors, some of them late.
  const stranger = await browser.newPage();
  await stranger.goto(url);
  assert.ok(await stranger.getByRole("heading", { name: "Sign in" }).isVisible(), "a stranger sees the sign-in only");
  assert.equal(await stranger.locator("#history li").count(), 0, "a stranger sees no data");
  await signIn(stranger, "wrong");
  await stranger.getByRole("alert").filter({ hasText: "X-API-Key" }).waitFor();
  await stranger.close();

  const problems = [];
  const page = await browser.newPage({ viewport: { width: 1100, height: 900 } });
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  page.on("pageerror", (error) => problems.push(String(error)));
  await page.goto(url);
  await signIn(page, key);
  await page.locator("#history li").first().waitFor();
  assert.match(await page.locator("#model-version").textContent(), /^lgbm_v/);
  assert.ok(Number(await page.locator("#inference-count").textContent()) > 0);
  const entry = page.locator("#history li").filter({ hasText: "Test Failure" }).first();
  await entry.locator("summary").click();
  assert.match(await entry.locator(".line").textContent(), /failed/i);
  assert.ok((await entry.locator(".term").count()) > 0, "the terms behind the verdict are shown");
  assert.match(await entry.locator(".run a").getAttribute("href"), /^https:\/\/github\.com\//);
  await entry.getByLabel("No, it was").selectOption("Timeout");
  await entry.getByRole("status").filter({ hasText: "Corrected to Timeout." }).waitFor();
  const review = page.locator("#reviews li").filter({ hasText: "done" }).filter({ hasText: "1 found" }).first();
  await review.locator("summary").click();
  assert.match(await review.locator(".findings").textContent(), /src\/load\.ts:2 bug/, "a review shows its findings");
  const id = await entry.locator("details").getAttribute("data-id");
  await page.goto(`${url}/?inference=${id}`);
  const pointed = page.locator(`#history details[data-id="${id}"]`);
  await pointed.getByRole("status").filter({ hasText: "Corrected to Timeout." }).waitFor();
  assert.ok(await pointed.getAttribute("open") !== null, "a link opens its inference");
  await page.screenshot({ path: screenshot, fullPage: false });

  await page.setViewportSize({ width: 380, height: 800 });
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(overflow <= 0, `nothing sticks out on a phone (${overflow} px)`);
  await page.getByRole("button", { name: "Sign out" }).click();
  assert.ok(await page.getByRole("heading", { name: "Sign in" }).isVisible());
  assert.deepEqual(problems, [], "no console errors");
  console.log("the dashboard works");
} finally {
  await browser.close();
}
