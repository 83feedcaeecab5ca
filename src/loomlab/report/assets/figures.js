// Drawing: all panels again after a change, and the looks that the figures share.
let planned = 0;
function refresh() {
  cancelAnimationFrame(planned);
  planned = requestAnimationFrame(() => {
    $("count").textContent = `${shown().length} of ${page.runs.length} runs shown`;
    for (const panel of page.panels) panel();
  });
}

function mark(number) {
  page.marked = page.marked === number ? null : number;
  refresh();
}

const FONT = {
  family: "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif",
  size: 12,
  color: "#1c2430",
};
const axis = (text, more = {}) => ({
  title: {text: plain(text), standoff: 8},
  gridcolor: "#e8ecf2",
  linecolor: "#c3cbd8",
  zeroline: false,
  automargin: true,
  ...more,
});
const layout = more => ({
  font: FONT,
  paper_bgcolor: "#fff",
  plot_bgcolor: "#fff",
  hovermode: "closest",
  margin: {l: 60, r: 16, t: 12, b: 46},
  hoverlabel: {align: "left", namelength: -1},
  ...more,
});
const CONFIG = {
  displaylogo: false,
  responsive: true,
  showSendToCloud: false,
  showEditInChartStudio: false,
  modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
};

function draw(id, traces, look, more = {}) {
  const node = $(id);
  if (node.dataset.empty) {
    node.replaceChildren();
    delete node.dataset.empty;
  }
  return Plotly.react(node, traces, look, {...CONFIG, ...more});
}

function nothing(id, sentence) {
  const node = $(id);
  if (node.data) Plotly.purge(node);
  delete node.dataset.clicks;
  delete node.dataset.brush;
  node.dataset.empty = "yes";
  node.replaceChildren(make("p", {className: "empty"}, sentence));
}

// A click on a run's point or line marks the run; once per figure and life of its node.
function clickMarks(id) {
  const node = $(id);
  if (node.dataset.clicks || !node.on) return;
  node.dataset.clicks = "yes";
  node.on("plotly_click", event => {
    const number = event.points[0] && event.points[0].customdata;
    if (isNumber(number)) mark(number);
  });
}
