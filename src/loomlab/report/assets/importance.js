// How much of the result each swept setting explains (computed when the report was written),
// and the results by option of the setting that is looked at.
let lookedAt = null;

function drawImportance() {
  $("importance-how").textContent = page.data.importance_how;
  const shares = page.data.importance[page.metric] || [];
  const told = shares.filter(s => s.share !== null);
  if (!told.length) {
    nothing("importance", "too few finished runs to tell the settings' shares");
  } else {
    if (!told.some(s => s.setting === lookedAt)) lookedAt = told[0].setting;
    const rows = [...told].reverse();
    draw(
      "importance",
      [
        {
          type: "bar",
          orientation: "h",
          x: rows.map(s => s.share),
          y: rows.map((_, i) => i),
          text: rows.map(s => Math.round(100 * s.share) + "%"),
          textposition: "outside",
          width: 0.6,
          cliponaxis: false,
          customdata: rows.map(s => s.setting),
          hovertext: rows.map(s => plain(`${s.setting}: ${s.runs} runs in ${s.groups} groups`)),
          hovertemplate: "%{hovertext}<extra></extra>",
          marker: {color: rows.map(s => (s.setting === lookedAt ? look("accent") : look("bar")))},
        },
      ],
      layout({
        height: Math.max(260, 70 + 30 * rows.length),
        margin: {l: 20, r: 46, t: 34, b: 46},
        xaxis: axis("share of the variance of ranks of " + page.metric, {
          range: [0, 1.02],
          tickformat: ".0%",
        }),
        yaxis: axis("", {
          tickvals: rows.map((_, i) => i),
          ticktext: rows.map(s => plain(s.setting, 34)),
          showgrid: false,
        }),
      }),
    );
    chooseByClick();
  }
  drawEffect();
}

function chooseByClick() {
  const node = $("importance");
  if (node.dataset.clicks) return;
  node.dataset.clicks = "yes";
  node.on("plotly_click", event => {
    lookedAt = event.points[0].customdata;
    drawImportance();
  });
}

function drawEffect() {
  const name = lookedAt || page.data.settings[0];
  const runs = shown().filter(r => isNumber(scoreOf(r)) && r.settings[name] !== undefined);
  if (!name || !runs.length) return nothing("effect", "no result to show by option");
  const {values, numeric} = levels(name, runs),
    many = numeric && values.length > AS_OPTIONS_UP_TO;
  const place = run =>
    values.indexOf(run.settings[name]) + (((run.number * 0.618) % 1) - 0.5) * 0.3;
  const logarithmic = many && values[0] > 0 && values[values.length - 1] / values[0] >= 50;
  const points = {
    type: "scatter",
    mode: "markers",
    x: runs.map(r => (many ? r.settings[name] : place(r))),
    y: runs.map(r => scoreOf(r)),
    text: runs.map(r => plain(r.label)),
    customdata: runs.map(r => r.number),
    marker: {
      color: runs.map(colourOf),
      size: runs.map(r => (r.number === page.marked ? 15 : 9)),
      line: {color: look("paper"), width: 1},
    },
    hovertemplate: "%{text}<br>%{y:.5g}<extra></extra>",
    showlegend: false,
  };
  draw(
    "effect",
    many ? [points] : [medians(runs, name, values), points],
    layout({
      height: Math.max(260, $("importance").clientHeight),
      margin: {l: 60, r: 16, t: 34, b: 46},
      yaxis: axis(page.metric),
      xaxis: axis(
        name,
        many
          ? {type: logarithmic ? "log" : "linear"}
          : {
              tickvals: values.map((_, i) => i),
              ticktext: values.map(v => plain(short(v), 22)),
              range: [-0.6, values.length - 0.4],
              showgrid: false,
            },
      ),
    }),
  );
  clickMarks("effect");
}

function medians(runs, name, values) {
  const x = [],
    y = [];
  values.forEach((value, i) => {
    const ys = runs
      .filter(r => r.settings[name] === value)
      .map(r => scoreOf(r))
      .sort((a, b) => a - b);
    if (!ys.length) return;
    const middle = (ys[(ys.length - 1) >> 1] + ys[ys.length >> 1]) / 2;
    x.push(i - 0.3, i + 0.3, null);
    y.push(middle, middle, null);
  });
  return {
    type: "scatter",
    mode: "lines",
    x,
    y,
    line: {color: look("soft"), width: 2.5},
    hoverinfo: "skip",
    showlegend: false,
  };
}

function startImportance() {
  page.panels.push(drawImportance);
}
