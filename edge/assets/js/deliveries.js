import { ask, post, withQuery } from "./ask.js";
import { action, at, element, tell } from "./page.js";

let who;

export function prepare() {
  at("delivery-status").addEventListener("change", () => refresh(who, true).catch((error) => (at("problem").textContent = error.message)));
}

/** Rows that are being used are left alone, unless others were asked for. */
export async function refresh(principal, others = false) {
  who = principal;
  const rows = await ask(withQuery("/api/deliveries", { limit: 100, status: at("delivery-status").value }));
  at("no-deliveries").hidden = rows.length > 0;
  at("ledger").hidden = rows.length === 0;
  if (!others && at("ledger").contains(document.activeElement)) return;
  at("ledger").tBodies[0].replaceChildren(...rows.map(row));
}

function row(delivery) {
  const made = element("tr");
  const status = element("td", delivery.status);
  status.dataset.status = delivery.status;
  const received = element("td");
  const time = element("time");
  tell(time, delivery.received_at);
  received.append(time);
  const act = element("td");
  if (delivery.status === "failed" && who?.role === "admin") {
    const said = element("span", "", "said");
    said.setAttribute("role", "status");
    const redeliver = action("Redeliver", said, async () => {
      const { status } = await post("/api/deliveries/redeliver", { hook: delivery.hook, id: delivery.id });
      return status === "queued" ? "Queued." : "Unchanged.";
    });
    redeliver.setAttribute("aria-label", `Redeliver ${delivery.id}`);
    act.append(redeliver, said);
  }
  const id = element("th", delivery.id);
  id.scope = "row";
  made.append(id, element("td", delivery.event), element("td", delivery.repository), status, element("td", `${delivery.attempts}`, "number"), received, act);
  return made;
}
