// What every panel shares: the runs, which of them are shown, their colours, and plain text.
// Text of runs reaches the page through textContent, and figures through plain(): never as HTML.
const page = {
  data: null,
  runs: [],
  filter: "",
  hidden: new Set(),
  brushes: new Map(),
  marked: null,
  metric: "",
  colourBy: "run",
  colours: new Map(),
  fills: [], // what puts choices of the data into the controls
  panels: [], // what draws
};

async function unpack(id) {
  const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), c =>
    c.charCodeAt(0),
  );
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

const $ = id => document.getElementById(id);

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "style") Object.assign(node.style, value);
    else node[name] = value;
  }
  node.append(...children.filter(c => c !== null && c !== undefined));
  return node;
}

// What was chosen before stays chosen where it can.
function choices(select, options, chosen) {
  const before = select.value,
    kept = options.some(([value]) => value === before);
  select.replaceChildren(...options.map(([value, text]) => make("option", {value}, text)));
  select.value = kept ? before : chosen;
}

// For Plotly, which reads a little HTML in its texts; control characters would break its SVG.
function plain(text, length = 90) {
  const cut = String(text).replace(/[\u0000-\u001f\u007f]/g, " ");
  const short = cut.length > length ? cut.slice(0, length - 3) + "..." : cut;
  return short.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

function short(value) {
  if (value === null || value === undefined) return "-";
  if (typeof value !== "number") return String(value);
  if (value === 0) return "0";
  const size = Math.abs(value);
  for (const [unit, letter] of [
    [1e18, "E"],
    [1e15, "P"],
    [1e12, "T"],
    [1e9, "G"],
    [1e6, "M"],
    [1e4, "k"],
  ])
    if (size >= unit) {
      const scale = letter === "k" ? 1e3 : unit;
      return Number((value / scale).toPrecision(4)) + " " + letter;
    }
  return size < 1e-4 ? value.toExponential(2) : String(Number(value.toPrecision(5)));
}

function duration(seconds) {
  if (seconds === null || seconds === undefined) return "-";
  if (seconds < 60) return short(Number(seconds.toPrecision(3))) + " s";
  const minutes = Math.floor(seconds / 60),
    hours = Math.floor(minutes / 60);
  if (hours) return `${hours} h ${String(minutes % 60).padStart(2, "0")} min`;
  return `${minutes} min ${String(Math.floor(seconds % 60)).padStart(2, "0")} s`;
}

// A run in a few words: its number and what tells it apart from the others.
function label(run, varying) {
  const parts = varying
    .filter(name => name in run.settings)
    .map(name => {
      const value = run.settings[name];
      return isNumber(value) ? `${name.split(".").pop()} ${short(value)}` : value;
    });
  return [run.number, ...parts].join(" \u00b7 ");
}

const isNumber = value => typeof value === "number" && Number.isFinite(value);
const better = metric => ((page.data.metrics.find(m => m.name === metric) || {}).more ? -1 : 1);
// What a run is compared by. Of one that failed or was interrupted only the table shows it.
const COMPARED = new Set(["done", "pruned", "running"]);
const scoreOf = run => (COMPARED.has(run.state) ? run.best[page.metric] : undefined);

function byScore(runs) {
  const sign = better(page.metric);
  const key = r => (isNumber(scoreOf(r)) ? sign * scoreOf(r) : Infinity);
  return [...runs].sort((a, b) => (key(a) === key(b) ? a.number - b.number : key(a) - key(b)));
}
