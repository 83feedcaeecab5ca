// Parallel coordinates of what was swept and what came out. Drawn as plain lines rather than with
// Plotly's own trace for it, which needs WebGL and can neither name a run under the mouse nor be
// clicked. A box drawn over an axis keeps the runs that cross there, on the whole page.
const AS_OPTIONS_UP_TO = 12; // so many different numbers are spaced evenly, like names

function niceTicks(low, high, logarithmic) {
  const ticks = [];
  if (logarithmic) {
    const [a, b] = [Math.log10(low), Math.log10(high)],
      marks = b - a > 2.5 ? [1] : [1, 2, 5];
    for (let power = Math.floor(a); power <= Math.ceil(b); power++)
      ticks.push(...marks.map(m => m * 10 ** power));
  } else {
    const raw = (high - low) / 5,
      unit = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map(m => m * unit).find(s => s >= raw);
    for (let i = Math.ceil(low / step); i * step <= high + step * 1e-9; i++)
      ticks.push(Number((i * step).toPrecision(12)));
  }
  return ticks.filter(t => t >= low * (1 - 1e-9) && t <= high * (1 + 1e-9));
}

function numericDimension(key, title, of, runs) {
  const values = runs.map(of).filter(isNumber),
    low = Math.min(...values),
    high = Math.max(...values);
  const logarithmic = low > 0 && high / low >= 50,
    scale = logarithmic ? Math.log10 : v => v;
  const place = v => (high > low ? (scale(v) - scale(low)) / (scale(high) - scale(low)) : 0.5);
  const back = share => {
    const at = scale(low) + share * (scale(high) - scale(low));
    return logarithmic ? 10 ** at : at;
  };
  const values2text = (a, b) =>
    `${title} ${short(Number(a.toPrecision(3)))} to ${short(Number(b.toPrecision(3)))}`;
  const ticks = high > low ? niceTicks(low, high, logarithmic) : [low];
  return {
    key,
    title,
    place: run => place(of(run)),
    ticks: ticks.map(t => [place(t), short(t)]),
    brush: (a, b) => ({
      text: values2text(back(Math.max(0, a)), back(Math.min(1, b))),
      keeps: run => isNumber(of(run)) && place(of(run)) >= a && place(of(run)) <= b,
    }),
  };
}

function optionDimension(key, title, of, options) {
  const last = Math.max(1, options.length - 1),
    places = new Map(options.map((o, i) => [o, i / last]));
  const spread = Math.min(0.04, 0.2 / last); // lines through one option lie side by side
  const place = run => places.get(of(run)) + (((run.number * 0.618) % 1) - 0.5) * spread;
  return {
    key,
    title,
    place,
    ticks: options.map(o => [places.get(o), short(o)]),
    brush: (a, b) => {
      const kept = options.filter(
        o => places.get(o) >= a - spread && places.get(o) <= b + spread,
      );
      return {
        text: `${title} ${kept.map(short).join(", ") || "(none)"}`,
        keeps: run => kept.includes(of(run)),
      };
    },
  };
}

function dimensions(runs) {
  const found = [];
  for (const name of page.data.settings) {
    const of = run => (run.settings[name] === undefined ? "-" : run.settings[name]);
    const {values, numeric} = levels(name, runs),
      missing = runs.some(run => of(run) === "-");
    if (values.length + missing < 2) continue;
    const asNumbers = numeric && !missing && values.length > AS_OPTIONS_UP_TO;
    const options = missing && !values.includes("-") ? [...values, "-"] : values;
    found.push(
      asNumbers
        ? numericDimension(name, name, of, runs)
        : optionDimension(name, name, of, options),
    );
  }
  for (const cost of ["parameters", "seconds"]) {
    const values = runs.map(r => r.costs[cost]);
    if (values.every(isNumber) && new Set(values).size > 1)
      found.push(numericDimension(cost, COSTS[cost], run => run.costs[cost], runs));
  }
  return [...found, numericDimension(page.metric, page.metric, run => scoreOf(run), runs)];
}

function tickLabels(axes) {
  return axes.flatMap((one, i) =>
    one.ticks
      .slice(0, 24)
      .map(([y, text]) => ({
        x: i,
        y,
        text: plain(text, 20),
        showarrow: false,
        xanchor: i === axes.length - 1 ? "left" : "right",
        xshift: i === axes.length - 1 ? 7 : -7,
        font: {size: 11},
        bgcolor: look("veil"),
        borderpad: 1,
      })),
  );
}

let parallelAxes = [];

function drawParallel() {
  const runs = unbrushed().filter(run => isNumber(scoreOf(run)));
  drawBrushes();
  if (runs.length < 2)
    return nothing("parallel", "fewer than two of the shown runs have a result");
  const axes = (parallelAxes = dimensions(runs)),
    kept = new Set(shown().map(run => run.number));
  const score = plain(page.metric);
  // Those that pass the boxes are drawn last, on top of the others.
  const ordered = [...runs].sort((a, b) => kept.has(a.number) - kept.has(b.number));
  const traces = ordered.map(run => {
    const on = kept.has(run.number),
      marked = page.marked === run.number;
    return {
      type: "scatter",
      mode: "lines+markers",
      x: axes.map((_, i) => i),
      y: axes.map(a => a.place(run)),
      line: {color: on ? colourOf(run) : look("away"), width: marked ? 4 : on ? 1.6 : 1},
      showlegend: false,
      marker: {size: 6, color: on ? colourOf(run) : look("away")},
      opacity: page.marked === null || marked ? 0.9 : 0.25,
      selected: {marker: {opacity: 1}},
      unselected: {marker: {opacity: 1}},
      selectedpoints: null,
      customdata: axes.map(() => run.number),
      text: axes.map(() => plain(run.label)),
      hovertemplate: `%{text}<br>${score} ${plain(short(scoreOf(run)))}<extra></extra>`,
    };
  });
  const lines = axes.map((_, i) => ({
    type: "line",
    x0: i,
    x1: i,
    y0: -0.04,
    y1: 1.04,
    layer: "below",
    line: {color: look("axis"), width: 1.5},
  }));
  draw(
    "parallel",
    traces,
    layout({
      height: 400,
      dragmode: "select",
      selectdirection: "any",
      selections: [],
      margin: {l: 90, r: 90, t: 44, b: 14},
      shapes: lines,
      annotations: tickLabels(axes),
      xaxis: {
        side: "top",
        tickvals: axes.map((_, i) => i),
        ticktext: axes.map(a => "<b>" + plain(a.title, 24) + "</b>"),
        range: [-0.15, axes.length - 0.85],
        showgrid: false,
        zeroline: false,
        fixedrange: true,
      },
      yaxis: {visible: false, range: [-0.08, 1.08], fixedrange: true},
    }),
    {displayModeBar: false},
  );
  clickMarks("parallel");
  listenToBrush();
}

function listenToBrush() {
  const node = $("parallel");
  if (node.dataset.brush) return;
  node.dataset.brush = "yes";
  node.on("plotly_selected", event => {
    if (!event || !event.range) return;
    const [left, right] = event.range.x,
      [low, high] = event.range.y;
    parallelAxes.forEach((axis, i) => {
      if (i >= left && i <= right) page.brushes.set(axis.key, axis.brush(low, high));
    });
    refresh();
  });
}

function drawBrushes() {
  $("brushes").replaceChildren(
    ...[...page.brushes].map(([key, brush]) => {
      const chip = make("button", {type: "button", title: "let go"}, brush.text + " \u00d7");
      chip.addEventListener("click", () => {
        page.brushes.delete(key);
        refresh();
      });
      return chip;
    }),
  );
}

function startParallel() {
  page.panels.push(drawParallel);
}
