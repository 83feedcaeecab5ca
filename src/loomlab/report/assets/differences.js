// What two runs were set to differently: every setting of their configs, defaults included. The
// page has those in which not all runs agree; of a run that never started, its command line.
function differencesOf(one, other) {
  const known = key =>
    [one, other].every(run => run.config.whole || run.config.values[key] !== undefined);
  const keys = new Set([...Object.keys(one.config.values), ...Object.keys(other.config.values)]);
  return [...keys]
    .filter(key => known(key) && one.config.values[key] !== other.config.values[key])
    .sort();
}

function drawDifferences() {
  const pair = ["this-run", "other-run"].map(id =>
    page.runs.find(run => String(run.number) === $(id).value),
  );
  if (!pair[0] || !pair[1]) return;
  const keys = differencesOf(...pair),
    told = (run, key) => (key in run.config.values ? run.config.values[key] : "-");
  $("differences").tHead.replaceChildren(
    make(
      "tr",
      {},
      make("th", {}, `${keys.length} settings differ`),
      ...pair.map(run => make("th", {}, swatch(colourOf(run)), run.label)),
    ),
  );
  $("differences").tBodies[0].replaceChildren(
    ...keys.map(key =>
      make("tr", {}, make("td", {}, key), ...pair.map(run => make("td", {}, told(run, key)))),
    ),
  );
}

function fillDifferences() {
  const ranked = byScore(page.runs);
  $("differences-section").hidden = ranked.length < 2;
  const options = page.runs.map(run => [String(run.number), run.label]);
  ["this-run", "other-run"].forEach((id, place) => {
    choices($(id), options, ranked[place] ? String(ranked[place].number) : "");
  });
}

function startDifferences() {
  for (const id of ["this-run", "other-run"]) $(id).addEventListener("change", drawDifferences);
  page.fills.push(fillDifferences);
  page.panels.push(drawDifferences);
}
