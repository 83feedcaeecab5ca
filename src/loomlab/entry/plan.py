"""`loom plan`: what a run would need on other machines, found on this one without running it."""

from __future__ import annotations

import json
from typing import Any

from loomlab.entry.arguments import Arguments

UNITS = ("", "k", "M", "G", "T", "P", "E", "Z")


def parser() -> Arguments:
    """The verb's arguments."""
    arguments = Arguments(
        prog="loom plan",
        description="Rehearse one step of a run as the first of its processes would take it, on "
        "tensors without values: memory, messages, arithmetic and an estimate of its speed.",
    )
    arguments.add_argument(
        "overrides", nargs="*", metavar="OVERRIDE",
        help="as for `loom train`, and hardware=h100, a100, l4 or this_machine with its settings "
        "(`loom options hardware`); hardware.count=N spreads the run over N devices",
    )  # fmt: skip
    arguments.add_argument(
        "--suggest", action="store_true",
        help="rank ways to spread the run over hardware.count devices by their speed",
    )  # fmt: skip
    arguments.add_argument("--json", action="store_true", help="print JSON")
    return arguments


def run(argv: list[str]) -> int:
    """Run the verb; exit code 1 if the run does not fit the memory of a device."""
    options = parser().parse_args(argv)
    from loomlab.catalog.options import Catalog
    from loomlab.catalog.search import all_conf_dirs, install_search_path

    install_search_path([])
    catalog = Catalog(all_conf_dirs())
    if options.suggest:
        from loomlab.plan.suggest import suggest

        layouts = [layout.record() for layout in suggest(options.overrides, catalog)]
        print(json.dumps(layouts) if options.json else "\n".join(ranking(layouts)))
        return 0 if any(layout.get("fits") for layout in layouts) else 1
    from loomlab.plan.outlook import outlook
    from loomlab.plan.planned import planned

    plan = planned(options.overrides, catalog)
    figures = outlook(plan.config, plan.hardware).figures()
    figures["filled_in"] = plan.notes
    print(json.dumps(figures) if options.json else "\n".join(lines(figures)))
    return 0 if figures["plain"]["fits"] or figures["recomputed"]["fits"] else 1


def lines(figures: dict[str, Any]) -> list[str]:
    """The figures of a plan, for people."""
    plain, again = figures["plain"], figures["recomputed"]
    told = [f"filled in: {' '.join(figures['filled_in'])}"] if figures["filled_in"] else []
    told += [
        f"{figures['processes']:,} x {figures['hardware']}, global batch "
        f"{figures['global_batch_size']:,} rows = {figures['tokens_per_step']:,} tokens a step",
        "",
        f"{'each process':<30} {'plain':>12} {'recomputed':>12}",
    ]
    for name in ("parameter", "gradient", "optimizer", "kept_aside"):
        told.append(_row(name.replace("_", " "), *[amount(figures[f"{name}_bytes"], "B")] * 2))
    told += [
        _row("activations", *(amount(w["activation_bytes"], "B") for w in (plain, again))),
        _row("peak", *(amount(w["peak_bytes"], "B") for w in (plain, again))),
        _row(f"fits {amount(figures['device_memory_bytes'], 'B')}",
             *("yes" if w["fits"] else "NO" for w in (plain, again))),
    ]  # fmt: skip
    for kind in plain["sent_bytes_per_step"]:
        sizes = (w["sent_bytes_per_step"].get(kind, 0) for w in (plain, again))
        told.append(_row(f"sent by {kind}", *(amount(size, "B") for size in sizes)))
    for name, key, unit in (
        ("arithmetic", "flops_per_process", "FLOP"),
        ("  of all processes", "flops_per_step", "FLOP"),
        ("step, estimated", "seconds_per_step", "s"),
        ("  of it computing", "seconds_computing", "s"),
        ("  sending, partly meanwhile", "seconds_sending", "s"),
        ("all: tokens a second", "tokens_per_second", ""),
    ):
        told.append(_row(name, *(amount(w[key], unit) for w in (plain, again))))
    if figures["steps"]:
        times = (duration(w["seconds_to_budget"]) for w in (plain, again))
        told.append(_row(f"{figures['steps']:,} steps of the budget", *times))
    return told


def ranking(layouts: list[dict[str, Any]]) -> list[str]:
    """The layouts as a table."""
    told = [f"{'tokens/s':>10} {'step':>10} {'peak':>10}  layout"]
    for layout in layouts:
        typed = " ".join(layout["overrides"])
        if "refused" in layout:
            told.append(f"{'refused':>10} {'':>21}  {typed}: {layout['refused']}")
            continue
        notes = [" (blocks recomputed)" if layout["recomputed"] else ""]
        notes += [] if layout["fits"] else [" DOES NOT FIT"]
        told.append(
            f"{amount(layout['tokens_per_second'], ''):>10} "
            f"{amount(layout['seconds_per_step'], 's'):>10} "
            f"{amount(layout['peak_bytes'], 'B'):>10}  {typed}{''.join(notes)}"
        )
    return told


def _row(name: str, plain: str, again: str) -> str:
    return f"{name:<30} {plain:>12} {again:>12}"


def amount(value: float, unit: str) -> str:
    """A number with a decimal prefix, three figures."""
    if unit == "s" and value < 1:
        return f"{value * 1e3:.3g} ms"
    power = 0
    while abs(value) >= 999.5 and power < len(UNITS) - 1:
        value, power = value / 1e3, power + 1
    return f"{value:.3g} {UNITS[power]}{unit}".strip()


def duration(seconds: float) -> str:
    """Seconds in the unit people would take."""
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.3g} {name}"
    return f"{seconds:.3g} s"
