// What the runs write: prompts down, runs across, the best of the shown runs first.
let samplesAcross = 6;

function sampleKey(sample) {
  return JSON.stringify([
    sample.prompt,
    sample.temperature === undefined ? null : sample.temperature,
  ]);
}

function samplesAt(run, choice) {
  const all = run.samples;
  if (!all.length) return all;
  const step = choice === "last" ? Math.max(...all.map(s => s.step)) : Number(choice);
  return all.filter(s => s.step === step);
}

function sampleHead(run, samples) {
  const score = isNumber(scoreOf(run)) ? `${page.metric} ${short(scoreOf(run))}` : run.state;
  return make(
    "th",
    {},
    swatch(colourOf(run)),
    run.label,
    make("span", {className: "why"}, `step ${samples.length ? samples[0].step : "-"}, ${score}`),
  );
}

function sampleCell(sample) {
  if (!sample) return make("td", {}, "-");
  const known = sample.prompt && sample.text.startsWith(sample.prompt);
  return make(
    "td",
    {},
    known ? make("span", {className: "prompt"}, sample.prompt) : null,
    known ? sample.text.slice(sample.prompt.length) : sample.text,
  );
}

function rowName(key) {
  const [prompt, temperature] = JSON.parse(key);
  const name = prompt || "sample";
  return temperature === null ? name : `${name}\ntemperature ${temperature}`;
}

function drawSamples() {
  const step = $("sample-step").value,
    temperature = $("sample-temperature").value;
  const runs = byScore(shown()).filter(run => samplesAt(run, step).length);
  const across = runs.slice(0, samplesAcross);
  const kept = across.map(run =>
    samplesAt(run, step).filter(
      s => temperature === "all" || String(s.temperature) === temperature,
    ),
  );
  const keys = [...new Set(kept.flat().map(sampleKey))];
  $("more-samples").hidden = runs.length <= samplesAcross;
  $("samples").tHead.replaceChildren(
    make("tr", {}, make("th", {}, "prompt"), ...across.map((run, i) => sampleHead(run, kept[i]))),
  );
  $("samples").tBodies[0].replaceChildren(
    ...keys.map(key =>
      make(
        "tr",
        {},
        make("td", {}, rowName(key)),
        ...kept.map(list => sampleCell(list.find(s => sampleKey(s) === key))),
      ),
    ),
  );
}

function fillSamples() {
  const all = page.runs.flatMap(run => run.samples);
  $("samples-section").hidden = !all.length;
  const steps = [...new Set(all.map(s => s.step))].sort((a, b) => b - a).slice(0, 200);
  const heats = [...new Set(all.map(s => s.temperature).filter(t => t !== undefined))].sort(
    (a, b) => a - b,
  );
  choices(
    $("sample-step"),
    [["last", "last of each run"], ...steps.map(s => [String(s), String(s)])],
    "last",
  );
  choices(
    $("sample-temperature"),
    [["all", "all"], ...heats.map(t => [String(t), String(t)])],
    "all",
  );
}

function startSamples() {
  for (const id of ["sample-step", "sample-temperature"])
    $(id).addEventListener("change", drawSamples);
  $("more-samples").addEventListener("click", () => {
    samplesAcross += 6;
    drawSamples();
  });
  page.fills.push(fillSamples);
  page.panels.push(drawSamples);
}
