"""The results of the benchmarks: the table and build/bench.json; and what those of VSIs ask and read."""

import json
import os
from pathlib import Path

import pytest

from evbagent.vsispec import parse_spec
from tests.bench.report import Row, Samples, alone, compare, failed, table, write_json
from tests.bench.run import BENCHMARKS
from tests.bench.statewatch import StateWatch
from tests.bench.usage import cpu_ns, resident
from tests.bench.vsiclients import Asked, confirmed_uuid, spec, vdptool_request
from tests.bench.vsimany import Run, Runs
from tests.bench.vsipair import Kind, answered_after
from tests.support.namespaces import CapturedFrame
from tests.support.rig import BRIDGE_MAC, STATION_MAC
from tests.support.vdpdus import RESPONSE, EcpOctets, numbered, ratified_ulpdu

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


def test_benchmarks_of_vsis_are_there() -> None:
    measured = {"associate-1", "associate-1000", "associate-4000", "keepalive-4000"}
    measured |= {"memory-4000", "show-4000", "state-4000"}
    assert {f"vsi-{name}" for name in measured} <= set(BENCHMARKS)


@pytest.mark.parametrize("number", [0, 4000, 0xFFFFFF])
def test_both_clients_ask_for_the_same_vsi(number: int) -> None:
    vsi = numbered(number)
    tlv = parse_spec(spec(number))
    assert (tlv.vsi_id.octets, tlv.manager, tlv.type_id, tlv.version) == (
        vsi.vsi_id,
        vsi.manager,
        vsi.type_id,
        vsi.version,
    )
    assert [entry.mac for entry in tlv.filters.entries] == [vsi.entries[0][:6]]
    asked = vdptool_request("veth0", number, "deassociate").decode()
    assert asked.startswith("M000080c4C3020000011c05veth0020000000404mode0007deassoc06mgrid20006blabla06typeid0007")
    assert f"04uuid0024{vsi.uuid}05hints0004none06filter0015100-52:54:00:" in asked


# As lldpad sent them: the hints of an event are the bridge's answer, 256 a keep-alive that was not answered.
ARGUMENTS = "06mgrid200021706typeid0007119304709typeidver0001204uuid0024fa9b7fff-b0a0-4893-8e0e-beef4ff18f8f"
GRANTED = f"M000080c4E16009904mode0005assoc{ARGUMENTS}05hints0001006filter00132-52:54:00:11:22:44"
ENDED = f"M000080c4E16009b04mode0007deassoc{ARGUMENTS}05hints0001006filter00132-52:54:00:11:22:44"


def test_what_lldpad_confirms() -> None:
    uuid = "fa9b7fff-b0a0-4893-8e0e-beef4ff18f8f"
    assert confirmed_uuid(GRANTED, "associate") == confirmed_uuid(ENDED, "deassociate") == uuid
    assert confirmed_uuid(GRANTED, "deassociate") is confirmed_uuid(ENDED, "associate") is None
    assert confirmed_uuid(GRANTED.replace("hints00010", "hints00012"), "associate") is None
    assert confirmed_uuid(GRANTED.replace("hints00010", "hints0003256"), "associate") is None
    assert confirmed_uuid("R00C3020000011c05veth000000003", "associate") is None


def _frame(milliseconds: float, outgoing: bool, ecpdu: EcpOctets) -> CapturedFrame:
    return CapturedFrame(ecpdu.frame(STATION_MAC if outgoing else BRIDGE_MAC), int(milliseconds * 1e6), outgoing)


def test_the_answer_on_the_wire_is_the_one_to_this_request() -> None:
    asked = EcpOctets(False, 7, ratified_ulpdu([numbered(1), numbered(2)]))
    other = EcpOctets(False, 30, ratified_ulpdu([numbered(1, status=RESPONSE)]))
    answer = EcpOctets(False, 31, ratified_ulpdu([numbered(2, status=RESPONSE)]))
    frames = [
        _frame(1.0, True, asked),
        _frame(1.1, False, asked.acknowledged()),
        _frame(1.2, False, other),
        _frame(1.3, True, asked),
        _frame(1.75, False, answer),
    ]
    assert answered_after(frames, 2) == pytest.approx(0.75)
    assert answered_after(frames, 1) == pytest.approx(0.2)
    with pytest.raises(AssertionError, match="no request of VSI 2"):
        answered_after(frames[:-1], 2)


def test_lost_vsis_are_counted() -> None:
    assert (Asked(100, 98, 49.0).lost, Asked(100, 98, 49.0).each) == (2, 0.5)
    assert Asked(3, 0, 0.0).each == 0.0


def test_runs_that_lost_too_many_do_not_count() -> None:
    kind = Kind("evbagent", "evbagent", 14)
    lossy, whole = (Run(Asked(100, confirmed, 1.0 * confirmed), 0.1, 70.0, 50.0, 0) for confirmed in (89, 91))
    samples = Runs({kind: [lossy, whole]}, {}).samples(kind, lambda run: run.asked.milliseconds)
    assert samples.values == (91.0,) and "1 of 2 runs of evbagent station" in samples.missing
    assert Runs({kind: []}, {kind: "the bridge has died"}).samples(kind, lambda run: run.lost).missing.endswith("died")


def test_usage_of_a_process() -> None:
    before = cpu_ns(os.getpid())
    assert resident(os.getpid()) > 1024
    assert cpu_ns(os.getpid()) >= before > 0


def test_state_watch_counts_renamed_files(tmp_path: Path) -> None:
    with StateWatch(tmp_path) as watch:
        assert watch.drain() == 0
        for name in ("first", "second"):
            (tmp_path / name).write_text("{}")
        for name in ("first", "second"):
            (tmp_path / name).rename(tmp_path / f"{name}.json")
        assert watch.drain() == 2
        with pytest.raises(AssertionError, match="no new state file"):
            watch.wait(0.0)
