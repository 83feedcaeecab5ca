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
};
const axis = (text, more = {}) => ({
  title: {text: plain(text), standoff: 8},
  gridcolor: look("grid"),
  linecolor: look("edge"),
  zeroline: false,
  automargin: true,
  ...more,
});
const layout = more => ({
  font: {...FONT, color: look("ink")},
  paper_bgcolor: look("paper"),
  plot_bgcolor: look("paper"),
  modebar: {bgcolor: "transparent", color: look("soft"), activecolor: look("ink")},
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

function draw(id, traces, looks, more = {}) {
  const node = $(id);
  if (node.dataset.empty) {
    node.replaceChildren();
    delete node.dataset.empty;
  }
  node.style.height = looks.height + "px"; // Plotly takes it back when the window is resized
  // told, since it would find out only after the paper is drawn
  const width = printing() ? {width: node.clientWidth} : {};
  return Plotly.react(node, traces, {...looks, ...width}, {...CONFIG, ...more});
}

function nothing(id, sentence) {
  const node = $(id);
  if (node.data) Plotly.purge(node);
  delete node.dataset.clicks;
  delete node.dataset.brush;
  node.dataset.empty = "yes";
  node.style.height = "";
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
