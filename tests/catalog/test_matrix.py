"""The printed table of what does not go together."""

import re

from loomlab.catalog.axes import OF_MANY_RUNS, OF_OTHER_VERBS
from loomlab.catalog.matrix import matrix_table, refused_pairs
from loomlab.catalog.options import Catalog
from loomlab.catalog.search import package_conf

CATALOG = Catalog([package_conf()])


def test_table_holds_every_refused_pair_and_its_count():
    refused, table = refused_pairs(CATALOG), matrix_table(CATALOG)
    assert f"{len(refused)} are refused" in table.splitlines()[0]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    printed = set()
    for row in rows:
        left, right = row.split("|")[1].split(" with ")
        lefts, rights = (re.findall(r"`(.*?)`", side) for side in (left, right))
        printed |= {(x, y) for x in lefts for y in rights}
    assert printed == {(str(one), str(other)) for one, other, _ in refused}


def test_every_row_gives_a_reason():
    rows = [line.split("|") for line in matrix_table(CATALOG).splitlines() if line[:3] == "| `"]
    assert rows
    bare = [row[1:3] for row in rows if not re.search(r": |, so .* would change nothing", row[2])]
    assert bare == []


def test_number_of_pairs():
    axes = [
        a
        for a in CATALOG.options
        if CATALOG.picks(a) and a not in OF_MANY_RUNS + tuple(OF_OTHER_VERBS)
    ]
    sizes = [len(CATALOG.picks(axis)) for axis in axes]
    pairs = (sum(sizes) ** 2 - sum(size**2 for size in sizes)) // 2
    assert matrix_table(CATALOG).startswith(f"{pairs} pairs of options on {len(sizes)} axes")
