// Looks at a flaky test on the overview: node reports.mjs URL KEY CHROMIUM TOOLS PICTURES REPOSITORY
// Of five reports of the repository, the test failed in one for good, and passed on retry in two.
import assert from "node:assert/strict";
import { join } from "node:path";
import { launch, ownKey, signIn } from "./browser.mjs";

const [url, key, executablePath, tools, pictures, repository] = process.argv.slice(2);
const browser = await launch(executablePath, tools);
try {
  const page = await browser.newPage({ viewport: { width: 1100, height: 900 } });
  const problems = [];
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  page.on("pageerror", (error) => problems.push(String(error)));
  await page.goto(url);
  await signIn(page, await ownKey(url, key, "reports"));
  const test = page.locator("#flaky li").filter({ hasText: repository });
  await test.waitFor();
  assert.match(await test.textContent(), /tests\/test_money\.py::test_load.*from reports/);
  const often = test.locator(".often");
  assert.equal(await often.textContent(), "failed 3 of 5 runs (60 %)");
  assert.equal(await often.getAttribute("title"), "Of the last 30 days. The true rate is between 23 % and 88 %. It passed on retry 2 times.");
  assert.equal(await test.locator("a").count(), 0, "no job failed because of it, so there is no cause to lead to");
  await test.scrollIntoViewIfNeeded();
  await page.screenshot({ path: join(pictures, "reports.png") });
  await page.setViewportSize({ width: 360, height: 740 });
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), "nothing hangs over on a phone");
  await test.scrollIntoViewIfNeeded();
  await page.screenshot({ path: join(pictures, "reports-phone.png") });
  assert.deepEqual(problems, []);
} finally {
  await browser.close();
}
