import { ask } from "./ask.js";
import { twoHistograms } from "./charts.js";
import { at, element } from "./page.js";

let chosen;

export async function refresh() {
  const [now, heatmap] = await Promise.all([ask("/api/drift"), ask("/api/drift/windows")]);
  const drifted = now.features.filter((feature) => feature.is_drifted).length;
  at("drift-summary").textContent =
    now.status === "insufficient_data"
      ? `Insufficient data: ${now.sample_size} of the ${now.required} inferences a comparison needs.`
      : `${drifted || "None"} of ${now.features.length} features drifted: the last ${now.sample_size} inferences against the training records.`;
  show(heatmap);
}

/** Features down, windows across; a cell opens the two histograms behind it. */
function show(heatmap) {
  const compared = heatmap.windows.filter((window) => window.report.features.length > 0);
  at("heatmap").hidden = at("heatmap-about").hidden = at("legend").hidden = compared.length === 0;
  const head = element("tr");
  const corner = element("th", "Feature");
  corner.scope = "col";
  head.append(
    corner,
    ...compared.map((window) => {
      const made = element("th", window.to ? new Date(window.to).toLocaleDateString(undefined, { month: "short", day: "numeric" }) : "–");
      made.scope = "col";
      made.title = `${window.report.sample_size} inferences, ${window.from} to ${window.to}`;
      return made;
    }),
  );
  const rows = heatmap.reference.map((reference, index) => {
    const row = element("tr");
    const name = element("th", named(reference.feature));
    name.scope = "row";
    row.append(name, ...compared.map((window) => cell(heatmap, reference, index, window)));
    return row;
  });
  const focused = document.activeElement?.dataset?.cell;
  at("heatmap").tHead.replaceChildren(head);
  at("heatmap").tBodies[0].replaceChildren(...rows);
  if (focused) at("heatmap").querySelector(`button[data-cell="${CSS.escape(focused)}"]`)?.focus();
  if (chosen) chosen();
}

function cell(heatmap, reference, index, window) {
  const feature = window.report.features[index];
  const made = element("td");
  const severity = feature.severity.replace("_", " ");
  const score = feature.method === "psi" ? feature.score.toFixed(2) : `p ${feature.p_value.toPrecision(1)}`;
  const button = element("button", feature.severity === "insufficient_data" ? "–" : score);
  button.type = "button";
  button.dataset.severity = feature.severity;
  button.dataset.cell = `${reference.feature} ${window.to}`;
  button.setAttribute("aria-label", `${named(reference.feature)}, ${window.to ?? "now"}: ${severity}, ${feature.method === "psi" ? "PSI" : "chi-square"} ${score}`);
  button.addEventListener("click", () => {
    chosen = () => histogram(reference, window, index);
    chosen();
    at("histogram").scrollIntoView({ block: "nearest" });
  });
  made.append(button);
  return made;
}

function histogram(reference, window, index) {
  const labels = reference.levels
    ? [...reference.levels, "other"]
    : [...reference.edges, Infinity].map((edge, at) => (edge === Infinity ? `≥ ${short(reference.edges.at(-1))}` : at === 0 ? `< ${short(edge)}` : `${short(reference.edges[at - 1])}–${short(edge)}`));
  const bins = labels.map((label, bin) => ({ label, expected: reference.counts[bin] ?? 0, actual: window.counts[index][bin] ?? 0 }));
  const feature = window.report.features[index];
  at("histogram").hidden = false;
  at("histogram-title").textContent = `${named(reference.feature)}: ${feature.severity.replace("_", " ")}`;
  at("histogram-chart").replaceChildren(
    twoHistograms(bins, `${named(reference.feature)}: ${feature.sample_size} values of this window against the training records`),
  );
}

const named = (feature) => feature.replaceAll("_", " ");
const short = (number) => (Math.abs(number) >= 100 ? number.toFixed(0) : Number(number.toPrecision(3)).toString());
