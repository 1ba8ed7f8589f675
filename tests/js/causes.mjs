// Goes from a cause to its run and back as a developer would: node causes.mjs URL KEY CHROMIUM TOOLS PICTURES REPOSITORY STATE
// The repository has two failed runs of the same two causes; after a green run of the same branch, STATE is `fixed`.
import assert from "node:assert/strict";
import { join } from "node:path";
import { launch, open, ownKey, signIn } from "./browser.mjs";

const [url, key, executablePath, tools, pictures, repository, state] = process.argv.slice(2);
const sha = (digit) => digit.repeat(40);
const browser = await launch(executablePath, tools);
try {
  const page = await browser.newPage({ viewport: { width: 1100, height: 900 } });
  const problems = [];
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  page.on("pageerror", (error) => problems.push(String(error)));
  await page.goto(url);
  await signIn(page, await ownKey(url, key, `causes, ${state}`));

  // What is red now, at one look.
  const red = page.locator("#red li").filter({ hasText: repository });
  await page.locator("#model-version", { hasText: /^lgbm_v/ }).waitFor();
  assert.equal(await red.count(), state === "open" ? 2 : 0, "a default branch is told to be red until it is green");
  assert.match(await page.locator("#hours-lost").textContent(), /^\d+\.\d h$/);

  // Failures with one cause are one row, which is found by keyboard: search, down, Enter.
  await open(page, "Failures");
  await page.getByLabel("Repository").first().fill(repository);
  const rows = page.locator("#cause-list li");
  await page.waitForFunction(() => location.hash.includes("repository="));
  await page.locator("#causes-loading").waitFor({ state: "hidden" });
  assert.equal(await rows.count(), 2, "two causes are two rows");
  assert.equal(await rows.filter({ hasText: repository }).count(), 2, "of the repository that was asked for");
  await page.locator("#main").focus();
  await page.keyboard.press("/");
  await page.keyboard.type("test_round");
  await page.waitForFunction(() => location.hash.includes("q=test_round"));
  await page.locator("#causes-loading").waitFor({ state: "hidden" });
  assert.equal(await rows.count(), 1, "a word of a line finds its cause");
  assert.equal(await rows.locator(".often").textContent(), "2 failures");
  assert.equal(await rows.locator(".state").textContent(), state);
  assert.match(await rows.locator(".cause-line").textContent(), /test_round/);
  await page.screenshot({ path: join(pictures, `causes-${state}.png`) });
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.locator("#cause-title").waitFor();

  // The cause has an address of its own, which opens by itself in a session that is there.
  assert.match(new URL(page.url()).hash, /^#cause\/\d+$/);
  await page.reload();
  await page.locator("#cause-title").filter({ hasText: "test_round" }).waitFor();
  assert.equal(await page.locator("#cause .state").textContent(), state);
  assert.match(await page.locator("#cause .log mark").textContent(), /^\d+FAILED tests\/test_money\.py::test_round/, "the deciding line is marked among the others");
  assert.ok((await page.locator("#cause .log > *").count()) > 1, "with the lines around it");
  const place = page.locator("#cause dd a").filter({ hasText: "tests/test_money.py:12" });
  assert.equal(await place.getAttribute("href"), `https://github.com/${repository}/blob/${sha("2")}/tests/test_money.py#L12`);
  assert.match(await page.locator("#cause dl").first().textContent(), /tests\/test_money\.py::test_round/, "the failing test is named");
  const branch = page.locator("#cause .branch");
  assert.match(await branch.textContent(), state === "open" ? /main.*2 failures.*Began.*1111111.*not yet/ : /main.*2 failures.*Fixedby 3333333/);
  assert.equal(await branch.getByRole("link", { name: "0000000…1111111" }).getAttribute("href"), `https://github.com/${repository}/compare/${sha("0")}...${sha("1")}`);
  await page.screenshot({ path: join(pictures, `cause-${state}.png`), fullPage: true });

  // Each failure leads to its run, the newest first.
  const runs = page.locator("#cause-runs li");
  assert.equal(await runs.count(), 2);
  assert.match(await runs.first().textContent(), /2222222/, "the newest is first");
  await runs.first().getByRole("link", { name: "unit" }).click();
  await page.locator("#headline").waitFor();
  assert.match(new URL(page.url()).hash, /^#run\/acme\/.+\/\d+\/2$/);
  assert.match(await page.locator("#headline h2").textContent(), /^unit Run tests/);
  assert.match(await page.locator("#run-body").textContent(), /2 jobs failed\./);
  const other = page.locator("#other-jobs li");
  assert.match(await other.textContent(), /^image.*No space left on device/);
  await other.locator("summary").click();
  await page.screenshot({ path: join(pictures, `run-${state}.png`), fullPage: true });

  // A person says what it was, on the page of the run; the page of the cause says so too.
  if (state === "open") {
    await page.locator("#headline").getByRole("button", { name: "Yes" }).click();
    await page.locator("#headline").getByRole("status").filter({ hasText: "Confirmed." }).waitFor();
    await page.goBack();
    await page.locator("#cause .said").filter({ hasText: "Confirmed." }).waitFor();
  }
  // A verdict, to which comments on pull requests link, leads to what was known before.
  await page.goto(`${url}/#verdicts`);
  const verdict = page.locator("#history li").filter({ hasText: `${repository} · CI · unit` }).first();
  await verdict.locator("summary").click();
  await verdict.getByRole("link", { name: "What is known of it" }).click();
  await page.locator("#headline h2").filter({ hasText: "unit" }).waitFor();
  assert.match(new URL(page.url()).hash, /^#run\/\d+$/);
  assert.match(await page.locator("#headline .standing").textContent(), /Seen twice/);
  // What nobody knows is said in words.
  assert.deepEqual(problems, [], "no console errors");
  await page.goto(`${url}/#cause/999999999`);
  await page.locator("#cause-said").filter({ hasText: "There is no such cause" }).waitFor();
  await page.goto(`${url}/#run/acme/none/1/1`);
  await page.locator("#run-said").filter({ hasText: "Nothing is known of this run" }).waitFor();
  await page.goto(`${url}/#failures?repository=no%2Fsuch`);
  await page.locator("#no-such-causes").waitFor();
  await page.getByRole("link", { name: "Show all" }).click();
  await rows.first().waitFor();
  assert.equal(await page.getByLabel("Repository").first().inputValue(), "", "all are shown again");
  console.log("the causes are shown");
} finally {
  await browser.close();
}
