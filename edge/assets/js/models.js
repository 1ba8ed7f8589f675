import { ask, post } from "./ask.js";
import { action, at, confirmed, element, percent, tell } from "./page.js";

let who;
/** What the list of models was drawn from. */
let drawn;

export function prepare() {
  at("model-actions").append(
    action("Roll back", at("model-said"), async () => {
      if (!(await confirmed("Roll back?", "What served before the last change serves again, from the next failed run on."))) return "";
      const { model_version: version } = await post("/api/models/rollback", {});
      await refresh(who);
      return `${version} serves.`;
    }),
  );
}

export async function refresh(principal) {
  who = principal;
  const mayChange = who.role === "admin";
  const registry = await ask("/api/registry");
  at("serving").textContent = registry.latest;
  at("serving-data").textContent = Object.entries(registry.serving.data).map(([name, value]) => `${name}: ${typeof value === "object" ? JSON.stringify(value) : value}`).join(" · ");
  at("model-actions").hidden = !mayChange || registry.activations.length === 0;
  at("no-models").hidden = registry.models.length > 0;
  const wanted = JSON.stringify([registry.models, mayChange]);
  // A comparison stays where it is until the models change.
  if (wanted !== drawn && !at("model-list").contains(document.activeElement)) {
    at("model-list").replaceChildren(...registry.models.map((model) => card(model, mayChange)));
    drawn = wanted;
  }
  at("activations").replaceChildren(...registry.activations.map(change));
}

function card(model, mayChange) {
  const item = element("li");
  const head = element("h3", model.model_version);
  head.append(" ", element("span", model.status, "badge"));
  const about = element("p", `Uploaded by ${model.uploaded_by}, ${new Date(model.timestamp).toLocaleString()}. ${model.manifest.trees ?? "?"} trees. `);
  about.append(element("code", model.digest.slice(0, 12)));
  const metrics = element("dl");
  for (const [name, value] of Object.entries(model.manifest.metrics ?? {}).filter(([, value]) => typeof value === "number").slice(0, 8)) {
    metrics.append(element("dt", name.replaceAll("_", " ")), element("dd", Number.isInteger(value) ? `${value}` : value.toFixed(3)));
  }
  const said = element("span", "", "said");
  said.setAttribute("role", "status");
  const result = element("div");
  const buttons = element("p", "", "row");
  const compare = action("Compare verdicts", said, async () => {
    const diff = await ask(`/api/models/diff?version=${encodeURIComponent(model.model_version)}`);
    result.replaceChildren(table(diff));
    return `${diff.changed.length} of ${diff.compared} verdicts would differ from ${diff.active}.`;
  });
  buttons.append(compare);
  if (mayChange && model.status !== "active") {
    buttons.append(
      action("Promote", said, async () => {
        const question = `Promote ${model.model_version}?`;
        if (!(await confirmed(question, "It judges every failed run from the next one on. “Roll back” undoes it."))) return "";
        const { model_version: version } = await post("/api/models/promote", { version: model.model_version });
        document.activeElement?.blur();
        await refresh(who);
        return `${version} serves.`;
      }),
    );
  }
  buttons.append(said);
  item.append(head, about, metrics, buttons, result);
  return item;
}

function table(diff) {
  if (diff.changed.length === 0) return element("p", "No verdict would change.");
  const made = element("table");
  const head = element("tr");
  head.append(...["Run", diff.active, diff.candidate, "A person said"].map((name) => Object.assign(element("th", name), { scope: "col" })));
  made.createTHead().append(head);
  const body = made.createTBody();
  for (const each of diff.changed) {
    const row = element("tr");
    row.append(element("td", `${each.repository} ${each.subject}`), element("td", each.active), element("td", `${each.candidate} (${percent(each.confidence)})`), element("td", each.corrected ?? "–"));
    body.append(row);
  }
  return made;
}

function change(activation) {
  const item = element("li", `${activation.action} to ${activation.model_version ?? "the built-in model"} by ${activation.author}, `);
  const time = element("time");
  tell(time, activation.timestamp);
  item.append(time);
  return item;
}
