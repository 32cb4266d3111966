"""The results of the benchmarks: the table and build/bench.json."""

import json
from pathlib import Path

import pytest

from tests.bench.report import Row, Samples, alone, compare, failed, table, write_json

ROWS = [
    compare("start", "ms", Samples((10.0, 30.0, 20.0)), "lldpad", Samples((90.0, 50.0, 70.0)), "exec to ready"),
    compare("start", "ms", Samples((10.0, 30.0, 20.0)), "lldpd", Samples(missing="lldpd is not installed")),
    alone("news", "ms", Samples((1.5,))),
    Row("frames", "frames/s", 5000.0, 4000.0, "lldpd", "higher"),
    failed("broken", AssertionError("not within 5 s: an answer\nand more")),
]


def test_json_has_the_promised_keys(tmp_path: Path) -> None:
    write_json(ROWS, tmp_path / "build" / "bench.json")
    start, absent, news, frames, broken = json.loads((tmp_path / "build" / "bench.json").read_text())
    assert start == {
        "name": "start",
        "unit": "ms",
        "evbagent": 20.0,
        "peer": 70.0,
        "peer-name": "lldpad",
        "ratio": 3.5,
        "better": "lower",
        "note": "exec to ready; 3 runs, 10 to 30; lldpad 3 runs, 50 to 90",
    }
    assert (absent["evbagent"], absent["peer"], absent["peer-name"], absent["ratio"]) == (20.0, None, "lldpd", None)
    assert "lldpd is not installed" in absent["note"]
    assert (news["peer"], news["peer-name"]) == (None, None) and "no peer" in news["note"]
    assert (frames["ratio"], frames["better"]) == (1.25, "higher")
    assert broken["evbagent"] is None and broken["note"] == "failed: not within 5 s: an answer"


def test_ratio_above_one_is_ahead() -> None:
    assert Row("a", "ms", 2.0, 4.0, "lldpd").ratio == Row("a", "1/s", 4.0, 2.0, "lldpd", "higher").ratio == 2.0
    assert Row("a", "ms", 0.0, 4.0, "lldpd").ratio is None


def test_table_names_what_is_missing() -> None:
    lines = table(ROWS).splitlines()
    assert lines[0].split()[:7] == ["name", "unit", "evbagent", "peer", "peer-name", "ratio", "better"]
    assert lines[1].split()[:7] == ["start", "ms", "20", "70", "lldpad", "3.5", "lower"]
    assert lines[2].split()[:6] == ["start", "ms", "20", "missing", "lldpd", "-"]
    assert lines[3].split()[:6] == ["news", "ms", "1.5", "-", "-", "-"]


@pytest.mark.parametrize(("values", "middle"), [((), None), ((3.0,), 3.0), ((1.0, 9.0, 2.0), 2.0)])
def test_median(values: tuple[float, ...], middle: float | None) -> None:
    assert Samples(values).median == middle
