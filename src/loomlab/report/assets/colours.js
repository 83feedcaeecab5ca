// One colour per run, the same in every panel.
const TEN = [
  "#2f6fd0",
  "#e5802b",
  "#2f9e5b",
  "#d2404a",
  "#8a5cc7",
  "#98694c",
  "#d868b0",
  "#6b7480",
  "#a8a424",
  "#22a6b8",
];
const RAMP = [
  "#440154",
  "#482878",
  "#3e4a89",
  "#31688e",
  "#26828e",
  "#1f9e89",
  "#35b779",
  "#6dcd59",
  "#b4de2c",
  "#e4d01b",
];

// The darkest colours of the ramp are not seen on a dark page.
const rampColours = () => (isDark() ? RAMP.slice(2) : RAMP);
const gradient = () => `linear-gradient(90deg, ${rampColours().join(", ")})`;

function hsl(hue, saturation, light) {
  const channel = n => {
    const k = (n + hue / 30) % 12,
      a = saturation * Math.min(light, 1 - light);
    const value = light - a * Math.max(-1, Math.min(k - 3, 9 - k, 1));
    return Math.round(255 * value)
      .toString(16)
      .padStart(2, "0");
  };
  return "#" + channel(0) + channel(8) + channel(4);
}

const distinct = i =>
  i < 10 ? TEN[i] : hsl((i * 137.508) % 360, 0.62, [0.42, 0.55, 0.34][i % 3]);

function ramp(share) {
  const colours = rampColours(),
    place = Math.max(0, Math.min(1, share)) * (colours.length - 1);
  const low = Math.min(colours.length - 2, Math.floor(place)),
    part = place - low;
  const mix = at => {
    const [a, b] = [colours[low], colours[low + 1]].map(c => parseInt(c.slice(at, at + 2), 16));
    return Math.round(a + (b - a) * part)
      .toString(16)
      .padStart(2, "0");
  };
  return "#" + mix(1) + mix(3) + mix(5);
}

const NO_VALUE = "#aab2bf";

function levels(name, runs = page.runs) {
  const values = [...new Set(runs.map(r => r.settings[name]).filter(v => v !== undefined))];
  const numeric = values.every(isNumber);
  return {
    numeric,
    values: values.sort((a, b) => (numeric ? a - b : String(a) < String(b) ? -1 : 1)),
  };
}

function paint() {
  const legend = [];
  page.colours.clear();
  if (page.colourBy === "run") {
    page.runs.forEach((run, i) => page.colours.set(run.number, distinct(i)));
  } else if (page.colourBy === "metric") {
    const ranked = byScore(page.runs).filter(r => isNumber(scoreOf(r)));
    ranked.forEach((run, i) =>
      page.colours.set(run.number, ramp(i / Math.max(1, ranked.length - 1))),
    );
    const bar = make("span", {
      className: "ramp",
      style: {background: gradient()},
    });
    legend.push(make("span", {}, `${page.metric}: best`, bar, "worst, by rank"));
  } else {
    const name = page.colourBy.slice("setting:".length),
      {values, numeric} = levels(name);
    const many = numeric && values.length > 10;
    values.forEach((value, i) => {
      const colour = many ? ramp(i / (values.length - 1)) : distinct(i);
      for (const run of page.runs)
        if (run.settings[name] === value) page.colours.set(run.number, colour);
      if (!many) legend.push(make("span", {}, swatch(colour), `${name} ${short(value)}`));
    });
    if (many)
      legend.push(
        make(
          "span",
          {},
          `${name} ${short(values[0])}`,
          make("span", {
            className: "ramp",
            style: {background: gradient()},
          }),
          short(values[values.length - 1]),
        ),
      );
  }
  $("legend").replaceChildren(...legend.slice(0, 40));
}

const colourOf = run => page.colours.get(run.number) || NO_VALUE;
const swatch = colour => make("span", {className: "swatch", style: {background: colour}});
