// Which runs are shown: those that pass the filter, are not hidden, and cross every brushed axis.
const CONDITION = /^(.+?)(<=|>=|!=|=|<|>)(.*)$/;

function fieldOf(run, name) {
  const all = {
    number: run.number,
    state: run.state,
    name: run.name,
    ...run.costs,
    ...run.best,
    ...run.settings,
  };
  if (name in all) return all[name];
  const ends = Object.keys(all).filter(k => k.split(/[./]/).pop() === name);
  return ends.length ? all[ends[ends.length - 1]] : undefined;
}

function meets(run, term) {
  const parts = CONDITION.exec(term);
  if (!parts) return run.words.includes(term.toLowerCase());
  const [, name, sign, wanted] = parts;
  const value = fieldOf(run, name);
  if (value === undefined || value === null) return sign === "!=";
  const left = Number(value),
    right = Number(wanted);
  const numbers = wanted.trim() !== "" && !Number.isNaN(left) && !Number.isNaN(right);
  if (sign === "=") return numbers ? left === right : String(value) === wanted;
  if (sign === "!=") return numbers ? left !== right : String(value) !== wanted;
  if (!numbers) return false;
  return {"<": left < right, ">": left > right, "<=": left <= right, ">=": left >= right}[sign];
}

const filtered = () => {
  const terms = page.filter.split(/\s+/).filter(Boolean);
  return page.runs.filter(run => terms.every(term => meets(run, term)));
};
const unbrushed = () => filtered().filter(run => !page.hidden.has(run.number));
const passes = run => [...page.brushes.values()].every(brush => brush.keeps(run));
const shown = () => unbrushed().filter(passes);
