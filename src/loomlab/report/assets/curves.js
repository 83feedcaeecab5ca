// Learning curves. Each run has, per metric, [steps, values], and a table that turns steps into
// tokens, FLOPs and seconds: tokens and FLOPs grow evenly with the step, seconds nearly so.
const X_LABELS = {
  step: "step",
  tokens: "training tokens",
  flops: "training FLOPs",
  seconds: "seconds of training",
};
const LEGEND_UP_TO = 16;

function along(run, name, steps) {
  if (name === "step") return steps;
  const knots = run.x.step,
    values = run.x[name];
  let at = 0;
  return steps.map(step => {
    while (at < knots.length - 2 && knots[at + 1] < step) at++;
    if (knots.length < 2) return values[0];
    const part = (step - knots[at]) / (knots[at + 1] - knots[at]);
    return values[at] + part * (values[at + 1] - values[at]);
  });
}

// Exponential moving average, the bias of its start taken out (as in Adam, and in TensorBoard).
function smoothed(values, weight) {
  let mean = 0,
    mass = 0;
  return values.map(value => {
    if (!isNumber(value)) return value;
    mean = weight * mean + (1 - weight) * value;
    mass = weight * mass + (1 - weight);
    return mean / mass;
  });
}

function curveTrace(run, metric, x, values, more) {
  const few = values.length < 40,
    on = page.marked === run.number;
  return {
    type: "scatter",
    mode: few ? "lines+markers" : "lines",
    x,
    y: values,
    name: plain(run.label, 44),
    marker: {size: values.length < 2 ? 8 : 4, color: colourOf(run)},
    line: {color: colourOf(run), width: on ? 4 : 1.7},
    opacity: page.marked === null || on ? 1 : 0.3,
    customdata: values.map(() => run.number),
    text: values.map(() => plain(run.label)),
    legendgroup: String(run.number),
    hovertemplate: "%{text}<br>%{y:.5g} at %{x:.4s}<extra></extra>",
    ...more,
  };
}

function drawCurves() {
  const metric = $("curve-y").value,
    axisName = $("curve-x").value,
    weight = Number($("smoothing").value);
  $("smoothing-value").textContent = weight ? weight.toFixed(2) : "off";
  const runs = shown().filter(run => run.curves[metric]);
  if (!runs.length)
    return nothing("curves", "none of the shown runs has logged " + (metric || "a metric"));
  const traces = [];
  for (const run of runs) {
    const [steps, values] = run.curves[metric],
      x = along(run, axisName, steps);
    if (weight)
      traces.push(
        curveTrace(run, metric, x, values, {
          opacity: 0.16,
          showlegend: false,
          hoverinfo: "skip",
          hovertemplate: null,
          mode: "lines",
        }),
      );
    traces.push(curveTrace(run, metric, x, weight ? smoothed(values, weight) : values, {}));
  }
  draw(
    "curves",
    traces,
    layout({
      height: 460,
      margin: {l: 60, r: 16, t: 34, b: 46},
      showlegend: runs.length <= LEGEND_UP_TO,
      legend: {font: {size: 11}, itemclick: false, itemdoubleclick: false},
      xaxis: axis(X_LABELS[axisName], {
        type: $("log-x").checked ? "log" : "linear",
        exponentformat: "SI",
      }),
      yaxis: axis(metric, {type: $("log-y").checked ? "log" : "linear"}),
      uirevision: metric + axisName,
    }),
  );
  clickMarks("curves");
}

function fillCurves() {
  const names = page.data.logged;
  choices(
    $("curve-y"),
    names.map(n => [n, n]),
    names.includes(page.metric) ? page.metric : names[0],
  );
  choices($("curve-x"), Object.entries(X_LABELS), "tokens");
  $("curves-note").textContent = page.data.thinned
    ? `Long curves are thinned to ${page.data.points} points: the least and the greatest value ` +
      "of each stretch are kept, so that no spike is lost."
    : "";
}

function startCurves() {
  for (const id of ["curve-y", "curve-x", "log-x", "log-y"])
    $(id).addEventListener("change", drawCurves);
  $("smoothing").addEventListener("input", drawCurves);
  page.fills.push(fillCurves);
  page.panels.push(drawCurves);
}
