// A real Chromium, driven by the playwright-core in the tools folder, and the way into the dashboard.
import { createRequire } from "node:module";
import { join } from "node:path";

export function launch(executablePath, tools) {
  const { chromium } = createRequire(join(tools, "package.json"))("playwright-core");
  return chromium.launch({
    executablePath,
    args: ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"],
  });
}

export async function signIn(page, key) {
  await page.getByLabel("API key").fill(key);
  await page.getByRole("button", { name: "Open the dashboard" }).click();
}

/** Follows a link of the navigation, by keyboard as a reader without a mouse would. */
export async function open(page, name) {
  await page.getByRole("link", { name, exact: true }).focus();
  await page.keyboard.press("Enter");
  await page.locator(`nav a[aria-current=page]`).filter({ hasText: name }).waitFor();
}

/** A key of its own, which the operator's key makes: calls are limited for each key, and a browser makes many. */
export async function ownKey(url, operator, name) {
  const headers = { "X-API-Key": operator, "Content-Type": "application/json" };
  const answer = await fetch(`${url}/api/keys`, { method: "POST", headers, body: JSON.stringify({ name, role: "admin" }) });
  return (await answer.json()).key;
}
