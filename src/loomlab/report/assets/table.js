// The table of runs: sortable by every column, one row per run that passes the filter.
let sorting = {key: null, up: true};

function columns() {
  const {settings, metrics, costs} = page.data;
  const setting = s => ({key: "setting:" + s, title: s, of: r => r.settings[s], show: short});
  const metric = m => ({
    key: "metric:" + m.name,
    title: m.name,
    of: r => r.best[m.name],
    show: short,
    number: true,
  });
  const cost = c => ({
    key: "cost:" + c,
    title: COSTS[c] || c,
    of: r => r.costs[c],
    number: true,
    show: c === "seconds" ? duration : short,
  });
  const ordered = [...metrics].sort(
    (a, b) => (b.name === page.metric) - (a.name === page.metric),
  );
  return [
    {key: "number", title: "#", of: r => r.number, show: String, number: true},
    {key: "state", title: "state", of: r => r.state, badge: true},
    ...settings.map(setting),
    ...ordered.map(metric),
    ...costs.map(cost),
  ];
}

function compare(a, b, up) {
  const empty = v => v === undefined || v === null || Number.isNaN(v);
  if (empty(a) || empty(b)) return empty(a) - empty(b); // runs without a value stay below
  const order = isNumber(a) && isNumber(b) ? a - b : String(a) < String(b) ? -1 : a === b ? 0 : 1;
  return up ? order : -order;
}

function sortedRuns(runs) {
  if (sorting.key === null) return byScore(runs);
  const column = columns().find(c => c.key === sorting.key) || columns()[0];
  return [...runs].sort(
    (a, b) => compare(column.of(a), column.of(b), sorting.up) || a.number - b.number,
  );
}

function heading(column) {
  const on = sorting.key === column.key,
    sign = on ? (sorting.up ? " \u25b2" : " \u25bc") : "";
  const cell = make(
    "th",
    {
      className: "sortable" + (column.number ? " number" : ""),
      tabIndex: 0,
      title: "sort by " + column.title,
    },
    column.title + sign,
  );
  cell.dataset.key = column.key;
  cell.setAttribute("aria-sort", on ? (sorting.up ? "ascending" : "descending") : "none");
  const sort = () => {
    sorting = {key: column.key, up: on ? !sorting.up : true};
    drawTable();
  };
  cell.addEventListener("click", sort);
  cell.addEventListener("keydown", e => {
    if (e.key === "Enter") sort();
  });
  return cell;
}

function visibility(run) {
  const box = make("input", {
    type: "checkbox",
    checked: !page.hidden.has(run.number),
    title: "show this run in the figures",
  });
  box.addEventListener("click", event => event.stopPropagation());
  box.addEventListener("change", () => {
    if (box.checked) page.hidden.delete(run.number);
    else page.hidden.add(run.number);
    refresh();
  });
  return make("td", {}, box, " ", swatch(colourOf(run)));
}

function tableRow(run, list, best) {
  const gone = page.hidden.has(run.number) || !passes(run);
  const row = make(
    "tr",
    {
      tabIndex: 0,
      title: run.name,
      className: (page.marked === run.number ? "marked " : "") + (gone ? "hidden" : ""),
    },
    visibility(run),
  );
  row.dataset.run = run.number;
  for (const column of list) {
    const value = column.of(run);
    const cell = make("td", {className: column.number || isNumber(value) ? "number" : ""});
    if (column.badge) cell.append(make("span", {className: "badge " + value}, value));
    else cell.textContent = value === undefined || value === null ? "-" : column.show(value);
    if (isNumber(value)) cell.title = String(value);
    if (column.key === "metric:" + page.metric && value === best) cell.className += " best";
    row.append(cell);
  }
  row.addEventListener("click", () => mark(run.number));
  row.addEventListener("keydown", e => {
    if (e.key === "Enter") mark(run.number);
  });
  return row;
}

function drawTable() {
  const list = columns(),
    runs = sortedRuns(filtered()),
    best = byScore(shown()).map(r => scoreOf(r))[0];
  for (const column of list)
    column.number = column.number || runs.every(r => isNumber(column.of(r)));
  const head = make("tr", {}, make("th", {}, ""), ...list.map(heading));
  $("runs").tHead.replaceChildren(head);
  $("runs").tBodies[0].replaceChildren(...runs.map(run => tableRow(run, list, best)));
}

function startTable() {
  page.panels.push(drawTable);
}
