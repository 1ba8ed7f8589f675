// Charts as SVG, drawn here: a page with a strict content policy loads none from elsewhere. Each says in words what it
// shows, and the figures stand beside it as text.
const SVG = "http://www.w3.org/2000/svg";

function shape(tag, attributes, children = []) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function titled(text) {
  const title = shape("title", {});
  title.textContent = text;
  return title;
}

const picture = (width, height, label, children) =>
  shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label, class: "chart" }, children);

function words(text, attributes) {
  const made = shape("text", attributes);
  made.textContent = text;
  return made;
}

/** Bars of days, each of stacked parts. `days`: [{ label, parts: [{ name, count, tone }] }] */
export function stackedBars(days, label) {
  const [width, height, floor] = [700, 170, 148];
  const most = Math.max(1, ...days.map((day) => day.parts.reduce((sum, part) => sum + part.count, 0)));
  const step = width / days.length;
  const every = Math.ceil(days.length / 7);
  const bars = days.flatMap((day, index) => {
    let top = floor;
    const parts = day.parts.map((part) => {
      const tall = (part.count / most) * (floor - 14);
      top -= tall;
      const bar = { x: index * step + 2, y: top, width: Math.max(1, step - 4), height: tall, class: `tone-${part.tone}` };
      return shape("rect", bar, [titled(`${day.label}: ${part.count} ${part.name}`)]);
    });
    const named = index % every === 0 ? [words(day.label.slice(5), { x: index * step + step / 2, y: height - 6, class: "axis" })] : [];
    return [...parts, ...named];
  });
  const line = shape("line", { x1: 0, x2: width, y1: floor, y2: floor, class: "ground" });
  return picture(width, height, label, [line, words(`${most}`, { x: 2, y: 14, class: "axis start" }), ...bars]);
}

/** The counts of days as small bars, today's last. */
export function sparkline(days, label) {
  const [step, height] = [8, 28];
  const most = Math.max(1, ...days);
  const bars = days.map((count, index) => {
    const tall = count ? Math.max(3, (count / most) * height) : 1;
    return shape("rect", { x: index * step + 1, y: height - tall, width: step - 2, height: tall, class: count ? "actual" : "none" });
  });
  const made = picture(days.length * step, height, label, bars);
  made.setAttribute("class", "chart spark");
  return made;
}

/** Two histograms over the same bins, as shares. `bins`: [{ label, expected, actual }] */
export function twoHistograms(bins, label) {
  const [width, height, floor] = [700, 200, 165];
  const total = (key) => Math.max(1, bins.reduce((sum, bin) => sum + bin[key], 0));
  const [expected, actual] = [total("expected"), total("actual")];
  const most = Math.max(0.01, ...bins.flatMap((bin) => [bin.expected / expected, bin.actual / actual]));
  const step = width / bins.length;
  const every = Math.ceil(bins.length / 9);
  const bars = bins.flatMap((bin, index) => {
    const bar = (share, offset, className, name) => {
      const tall = (share / most) * (floor - 10);
      const place = { x: index * step + step * offset, y: floor - tall, width: Math.max(1, step * 0.38), height: tall, class: className };
      return shape("rect", place, [titled(`${bin.label}, ${name}: ${(share * 100).toFixed(1)} %`)]);
    };
    const named = index % every === 0 ? [words(bin.label, index === 0 ? { x: 2, y: floor + 16, class: "axis start" } : { x: index * step + step / 2, y: floor + 16, class: "axis" })] : [];
    return [bar(bin.expected / expected, 0.1, "expected", "training"), bar(bin.actual / actual, 0.5, "actual", "this window"), ...named];
  });
  const line = shape("line", { x1: 0, x2: width, y1: floor, y2: floor, class: "ground" });
  return picture(width, height, label, [line, ...bars]);
}
