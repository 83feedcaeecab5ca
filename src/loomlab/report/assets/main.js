// Start the page: unpack, fill the controls, draw every panel once.
function drawOverview() {
  const {data} = page,
    finished = page.runs.filter(r => r.state === "done");
  const ranked = byScore(finished).filter(r => isNumber(scoreOf(r)));
  const total = cost =>
    page.runs.reduce((sum, r) => sum + (isNumber(r.costs[cost]) ? r.costs[cost] : 0), 0);
  const tile = (value, text) =>
    make("div", {className: "tile"}, make("b", {}, value), make("span", {}, text));
  $("tiles").replaceChildren(
    tile(`${finished.length} of ${page.runs.length}`, "jobs finished"),
    ranked.length
      ? tile(short(scoreOf(ranked[0])), `best ${page.metric}: run ${ranked[0].label}`)
      : "",
    tile(short(total("tokens")), "tokens trained on"),
    tile(duration(total("seconds")), "of training, over all runs"),
    tile(
      data.written,
      "written" + (page.runs.some(r => r.state === "running") ? "; jobs were still running" : ""),
    ),
  );
  $("command").textContent = data.command;
}

function drawFailures() {
  const wanted = new Set(["failed", "interrupted", "refused"]);
  const runs = page.runs.filter(r => wanted.has(r.state));
  $("failures-section").hidden = !runs.length;
  const first = $("failures").childElementCount === 0;
  const open = new Set(
    first && runs.length < 4
      ? runs.slice(0, 1).map(run => run.name)
      : [...$("failures").querySelectorAll("details[open]")].map(node => node.title),
  );
  $("failures").replaceChildren(
    ...runs.map(run =>
      make(
        "details",
        {open: open.has(run.name), title: run.name},
        make(
          "summary",
          {},
          make("span", {className: "badge " + run.state}, run.state),
          run.name + " ",
          make(
            "span",
            {className: "cause"},
            [run.error_type, run.message].filter(Boolean).join(": "),
          ),
        ),
        make("pre", {}, run.log_tail || "(it left no log)"),
      ),
    ),
  );
}

function fillControls() {
  const {data} = page;
  choices(
    $("metric"),
    data.metrics.map(m => [m.name, m.name + (m.more ? " (more is better)" : "")]),
    page.metric,
  );
  choices(
    $("colour"),
    [["run", "run"], ["metric", "metric"], ...data.settings.map(s => ["setting:" + s, s])],
    page.colourBy,
  );
}

function startControls() {
  $("metric").addEventListener("change", event => {
    page.metric = event.target.value;
    paint();
    refresh();
  });
  $("colour").addEventListener("change", event => {
    page.colourBy = event.target.value;
    paint();
    refresh();
  });
  $("filter").addEventListener("input", event => {
    page.filter = event.target.value;
    refresh();
  });
  $("reset").addEventListener("click", () => {
    Object.assign(page, {filter: "", brushes: new Map(), marked: null, hidden: new Set()});
    $("filter").value = "";
    refresh();
  });
}

// Show data, of when the page was written or newer; what was chosen and marked stays so.
function take(data) {
  page.data = data;
  page.runs = data.runs;
  const varying = data.settings.filter(s => new Set(page.runs.map(r => r.settings[s])).size > 1);
  for (const run of page.runs) {
    run.label = label(run, varying);
    run.words = [run.name, run.state, run.folder, ...Object.values(run.settings)]
      .join(" ")
      .toLowerCase();
  }
  if (!data.metrics.some(m => m.name === page.metric))
    page.metric = data.metrics.length ? data.metrics[0].name : "";
  $("title").textContent = data.title;
  $("states").replaceChildren(
    ...Object.entries(data.states).map(([state, count]) =>
      make("span", {className: "badge " + state}, `${count} ${state}`),
    ),
  );
  for (const fill of page.fills) fill();
  drawFailures();
  paint();
  $("count").textContent = `${shown().length} of ${page.runs.length} runs shown`;
  for (const panel of page.panels) panel();
}

async function start() {
  const data = JSON.parse(await unpack("data"));
  const script = document.createElement("script");
  script.textContent = await unpack("plotly");
  document.head.append(script);
  page.colourBy = data.runs.length > 20 && data.metrics.length ? "metric" : "run";
  $("foot").textContent =
    `${data.folder}, written by loomlab ${data.version}; figures by Plotly.js ${Plotly.version}`;
  page.fills.push(fillControls);
  for (const begin of [
    startTheme,
    startControls,
    startTable,
    startCurves,
    startParallel,
    startImportance,
    startPareto,
    startDifferences,
    startSamples,
  ])
    begin();
  page.panels.push(drawOverview);
  take(data);
  $("loading").remove();
  document.body.dataset.ready = "yes";
  startLive();
}

start().catch(error => {
  $("loading").textContent =
    "This page could not be drawn: " + error + ". It needs a browser of 2023 or newer.";
  throw error;
});
