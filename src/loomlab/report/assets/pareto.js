// Quality against what it cost.
const COSTS = {
  parameters: "parameters",
  bytes: "bytes on disk",
  flops: "training FLOPs",
  seconds: "seconds of training",
  tokens: "training tokens",
  peak_memory_bytes: "peak memory (bytes)",
  latency_seconds: "seconds of a batch",
};

// Runs that no other run beats at the same cost or less, by rising cost.
function front(runs, cost) {
  const sign = better(page.metric),
    value = r => sign * scoreOf(r);
  const ordered = [...runs].sort((a, b) => a.costs[cost] - b.costs[cost] || value(a) - value(b));
  let least = Infinity;
  return ordered.filter(run => value(run) < least && ((least = value(run)), true));
}

function drawPareto() {
  const cost = $("cost").value;
  const runs = shown().filter(
    run => run.state === "done" && isNumber(scoreOf(run)) && isNumber(run.costs[cost]),
  );
  if (!runs.length)
    return nothing(
      "pareto",
      "none of the shown runs is finished and has both a result and this cost",
    );
  const best = front(runs, cost),
    on = new Set(best.map(r => r.number));
  const points = {
    type: "scatter",
    mode: "markers",
    x: runs.map(r => r.costs[cost]),
    y: runs.map(r => scoreOf(r)),
    customdata: runs.map(r => r.number),
    text: runs.map(r => plain(r.label)),
    showlegend: false,
    marker: {
      color: runs.map(colourOf),
      size: runs.map(r => (r.number === page.marked ? 18 : on.has(r.number) ? 12 : 8)),
      line: {
        color: runs.map(r => (on.has(r.number) ? look("ink") : look("paper"))),
        width: runs.map(r => (on.has(r.number) ? 2 : 1)),
      },
    },
    hovertemplate: "%{text}<br>%{y:.5g} at %{x:.4s}<extra></extra>",
  };
  const line = {
    type: "scatter",
    mode: "lines",
    x: best.map(r => r.costs[cost]),
    y: best.map(r => scoreOf(r)),
    line: {shape: "hv", color: look("ink"), width: 1.5, dash: "dot"},
    hoverinfo: "skip",
    showlegend: false,
  };
  draw(
    "pareto",
    [line, points],
    layout({
      height: 400,
      margin: {l: 60, r: 16, t: 34, b: 46},
      uirevision: cost + page.metric,
      xaxis: axis(COSTS[cost] || cost, {
        type: $("log-cost").checked ? "log" : "linear",
        exponentformat: "SI",
      }),
      yaxis: axis(page.metric),
    }),
  );
  clickMarks("pareto");
}

function fillPareto() {
  const known = page.data.costs,
    differs = c => new Set(page.runs.map(r => r.costs[c]).filter(isNumber)).size > 1;
  choices(
    $("cost"),
    known.map(c => [c, COSTS[c] || c]),
    known.find(differs) || known[0] || "",
  );
}

function startPareto() {
  for (const id of ["cost", "log-cost"]) $(id).addEventListener("change", drawPareto);
  page.fills.push(fillPareto);
  page.panels.push(drawPareto);
}
