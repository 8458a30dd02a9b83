"""Turns pytest-benchmark's JSON into metrics/bench.json and a table: `make bench` runs it after the benchmarks.

Of every row the fastest round counts, since other processes only ever slow one down. The ratio is to the row
"moleflow" of the same group and other parameters, or to the group's first row if there is none.
"""

import json
import sys
from pathlib import Path

from moleflow.files.artifacts import write_json
from moleflow.report.tables import Table

OUTPUT = Path("metrics/bench.json")


def main(source: str) -> None:
    """Reads pytest-benchmark's file, writes `OUTPUT`, prints the table."""
    groups: dict[str, dict[str, dict[str, float]]] = {}
    for each in json.loads(Path(source).read_text())["benchmarks"]:
        params = dict(each["params"] or {})
        way = str(params.pop("way", ""))
        params.pop("run", None)
        if way:
            group, row = ", ".join([each["group"], *map(str, params.values())]), way
        else:
            group, row = each["group"], ", ".join(f"{key} {value}" for key, value in params.items()) or each["name"]
        groups.setdefault(group, {})[row] = {"seconds": each["stats"]["min"], **each["extra_info"]}
    rows = []
    for group, measured in groups.items():
        ours = measured.get("moleflow", next(iter(measured.values())))["seconds"]
        for row, values in measured.items():
            values["ratio"] = round(values["seconds"] / ours, 3)
            values["seconds"] = float(f"{values['seconds']:.3g}")
            more = ", ".join(f"{key} {value}" for key, value in values.items() if key not in {"seconds", "ratio"})
            rows.append([group, row, f"{values['seconds']:g}", f"{values['ratio']:.2f}", more])
    write_json(OUTPUT, groups)
    print(Table(["benchmark", "", "seconds, fastest round", "ratio", "besides"], rows).markdown())


if __name__ == "__main__":
    main(*sys.argv[1:])
