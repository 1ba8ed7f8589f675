// Corrects the newest verdicts on the dashboard: node correct.mjs URL KEY CHROMIUM TOOLS CLASS COUNT
import assert from "node:assert/strict";
import { launch, open, signIn } from "./browser.mjs";

const [url, key, executablePath, tools, correction, count] = process.argv.slice(2);
const browser = await launch(executablePath, tools);
try {
  const page = await browser.newPage();
  await page.goto(url);
  await page.getByLabel("Your name").fill("mona");
  await signIn(page, key);
  await open(page, "Failures");
  await page.getByRole("link", { name: "All verdicts" }).click();
  await page.locator("#history li").first().waitFor();
  const shown = await page.locator("#history details").evaluateAll((all) => all.map((details) => details.dataset.id));
  for (const id of shown.slice(0, Number(count))) {
    const entry = page.locator(`#history details[data-id="${id}"]`);
    // The page refreshes itself and keeps what is open.
    await entry.evaluate((details) => (details.open = true));
    assert.notEqual(await entry.locator(".verdict").textContent(), correction, "the verdict was wrong");
    await entry.getByLabel("No, it was").selectOption(correction);
    await entry.getByRole("status").filter({ hasText: `Corrected to ${correction}.` }).waitFor();
  }
  console.log(`corrected ${count}`);
} finally {
  await browser.close();
}
