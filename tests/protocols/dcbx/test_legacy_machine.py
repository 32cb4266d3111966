"""CEE and CIN: the rows of the sheet's table, two ends that agree, and groups in both dialects."""

from dataclasses import replace
from itertools import product
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.dcbx import cee
from protocols.dcbx.feature_rows import ROWS, Use, View, deciding
from protocols.dcbx.groups import cee_groups, cin_groups, tables_of_cee, tables_of_cin
from protocols.dcbx.legacy_machine import LegacyMachine
from protocols.dcbx.model import (
    CEE_OUI,
    CeeApplication,
    CeeApplications,
    CinPriority,
    CinPriorityGroups,
    Control,
    Eight,
    Feature,
    LegacyPfc,
    LegacySubtype,
    LegacyTlv,
    PriorityGroups,
    SubTlv,
    eight,
)
from protocols.dcbx.port import DcbxPort
from protocols.dcbx.settings import DcbxResult, DcbxSettings, Dialect, Tables
from tests.support.dcbx import FCOE, HIGH, LOW, SHARED, End, assert_possible, converge, key, neighbor, willing

GROUPS = Tables((0, 0, 0, 1, 1, 1, 1, 2), (2, 2, 0, 0, 0, 0, 0, 0), (30, 70, 0, 0, 0, 0, 0, 0))
OURS = DcbxSettings(dialect=Dialect.CEE, ets=SHARED, pfc=0b1000, apps=(FCOE,))
THEIRS = DcbxSettings(dialect=Dialect.CEE, ets=GROUPS, pfc=0b0100, apps=(replace(FCOE, priority=4),))

ALL_WELL = View(
    dialect=Dialect.CEE,
    advertised=True,
    synced=True,
    acknowledged=True,
    versions_agreed=True,
    peer=True,
    expired=True,
    heard=True,
    duplicated=False,
    feature_versions_agreed=True,
    enabled=True,
    peer_enabled=True,
    willing=False,
    peer_willing=False,
    peer_error=False,
    sound=True,
    compatible=True,
)
BOTH = tuple(product((False, True), repeat=2))


@pytest.mark.parametrize(
    ("changes", "number", "use", "oper_mode", "error"),
    [
        ({"advertised": False}, "2", Use.LOCAL, True, False),
        ({"versions_agreed": False}, "3", Use.UNCHANGED, False, False),
        ({"peer": False}, "4", Use.LOCAL, False, True),
        ({"peer": False, "dialect": Dialect.CIN}, "4", Use.LOCAL, False, False),
        ({"peer": False, "expired": False}, "4", Use.LOCAL, False, False),
        ({"heard": False}, "5", Use.LOCAL, False, True),
        ({"heard": False, "dialect": Dialect.CIN}, "5", Use.LOCAL, False, False),
        ({"synced": False, "acknowledged": False}, "6", Use.UNCHANGED, False, False),
        ({"synced": False}, "13", Use.LOCAL, True, False),
        ({"duplicated": True}, "7", Use.LOCAL, False, True),
        ({"feature_versions_agreed": False}, "9", Use.UNCHANGED, False, False),
        ({"enabled": False}, "10", Use.LOCAL, False, False),
        ({"peer_enabled": False}, "10", Use.LOCAL, False, False),
        ({"sound": False, "willing": True}, "11a", Use.LOCAL, False, True),
        ({"sound": False}, "13", Use.LOCAL, True, False),
        ({"sound": False, "peer_willing": True}, "12", Use.LOCAL, True, False),
        ({"willing": True}, "11", Use.PEER, True, False),
        ({"willing": True, "peer_error": True}, "11b", Use.LOCAL, False, False),
        ({"peer_willing": True}, "12", Use.LOCAL, True, False),
        ({"peer_willing": True, "peer_error": True}, "12", Use.LOCAL, False, False),
        ({}, "13", Use.LOCAL, True, False),
        ({"willing": True, "peer_willing": True, "peer_error": True}, "13", Use.LOCAL, False, False),
        ({"compatible": False}, "14", Use.LOCAL, False, True),
    ],
)
def test_rows(changes: dict[str, object], number: str, use: Use, oper_mode: bool, error: bool) -> None:
    """The first row that holds, and what it does (sheet 3.5)."""
    view = replace(ALL_WELL, **changes)  # type: ignore[arg-type]
    row = deciding(view)
    assert (row.number, row.use, row.oper_mode(view), row.error(view)) == (number, use, oper_mode, error)


@given(st.tuples(*(st.booleans() for _ in range(16))), st.sampled_from([Dialect.CEE, Dialect.CIN]))
def test_some_row_always_holds(bits: tuple[bool, ...], dialect: Dialect) -> None:
    view = View(dialect, *bits)
    assert any(row.holds(view) for row in ROWS)


def results(*ends: End) -> list[DcbxResult]:
    found = [end.port.result for end in ends]
    assert None not in found
    return [one for one in found if one is not None]


@pytest.mark.parametrize("dialect", [Dialect.CEE, Dialect.CIN])
@pytest.mark.parametrize(("one", "other"), BOTH)
def test_two_ends(one: bool, other: bool, dialect: Dialect) -> None:
    """Each combination of willing (sheet 3.5: rows 11, 12, 14)."""
    low = End(LOW, replace(willing(OURS, one), dialect=dialect))
    high = End(HIGH, replace(willing(THEIRS, other), dialect=dialect))
    assert converge(low, high) <= 10
    here, there = results(low, high)
    if one == other:
        assert (here.pfc.operational, there.pfc.operational) == (0b1000, 0b0100)
        assert here.pfc.error and there.pfc.error and "mismatch" in here.pfc.reason
        assert (here.ets.operational, there.ets.operational) == (SHARED, GROUPS)
        assert here.ets.error is (dialect is Dialect.CIN), "in CEE groups are each side's own"
    else:
        settled = 0b0100 if one else 0b1000
        assert here.pfc.operational == there.pfc.operational == settled
        assert here.ets.operational == there.ets.operational == (GROUPS if one else SHARED)
        assert here.app.operational == there.app.operational
        assert not here.pfc.error and not here.warnings and not there.warnings
    assert (here.seq_no, here.ack_no) == (there.ack_no, there.seq_no)


@pytest.mark.parametrize("dialect", [Dialect.CEE, Dialect.CIN])
@pytest.mark.parametrize("seed", [*range(20), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(20, 150))])
def test_they_end_agreed_whatever_happens(seed: int, dialect: Dialect) -> None:
    """Settings change, a peer restarts or is lost, LLDPDUs are lost: in the end both say the same of the same."""
    random = Random(seed)
    ends = [End(LOW, replace(willing(OURS), dialect=dialect)), End(HIGH, replace(THEIRS, dialect=dialect))]
    for _ in range(random.randrange(1, 12)):
        end, peer = random.sample(ends, 2)
        match random.randrange(5):
            case 0:
                settings = end.port.settings
                assert settings is not None
                end.port.configure(replace(settings, pfc=random.randrange(256)), end.mac)
            case 1:
                assert end.port.settings is not None
                end.port = DcbxPort(end.port.settings, end.mac)
            case 2:
                end.port.lost(key(peer.mac))
            case _:
                end.port.heard(peer.said)
    converge(*ends, most=60)
    here, there = results(*ends)
    assert here.pfc.operational == there.pfc.operational == there.pfc.local
    assert (here.seq_no, here.ack_no) == (there.ack_no, there.seq_no)


def peer_with(*sub_tlvs: SubTlv, acknowledged: int = 1) -> LegacyTlv:
    return LegacyTlv(LegacySubtype.CEE, (Control(0, 0, 1, acknowledged), *sub_tlvs))


EDGES = (0, 1, 2, 3, 0x0F, 0x40, 0x7F, 0x80, 0xC8, 0xF0, 0xFE, 0xFF)
SOUND = Feature(enable=True)
PFC = LegacyPfc(SOUND, 0b0010, 8)


def heard(tlv: LegacyTlv, settings: DcbxSettings | None = None) -> DcbxResult:
    port = DcbxPort(settings or willing(OURS), LOW)
    port.heard(neighbor(HIGH, [(CEE_OUI, *cee.encode(tlv))]))
    assert port.result is not None
    return port.result


def test_a_feature_that_comes_twice() -> None:
    result = heard(peer_with(PFC, replace(PFC, enable=1)))
    assert (result.pfc.operational, result.pfc.error) == (0b1000, True) and "twice" in result.pfc.reason


def test_two_controls_or_none() -> None:
    for tlv in (
        LegacyTlv(LegacySubtype.CEE, (Control(0, 0, 1, 1),) * 2 + (PFC,)),
        LegacyTlv(LegacySubtype.CEE, (PFC,)),
    ):
        result = heard(tlv)
        assert result.pfc.operational == 0b1000 and any("control" in warning for warning in result.warnings)


def test_another_version_of_a_feature() -> None:
    """It stays as it was (row 9), and the others do not."""
    other = replace(PFC, feature=replace(SOUND, oper_version=1))
    result = heard(peer_with(other, CeeApplications(SOUND, (CeeApplication(0x8906, 0, CEE_OUI, 1),))))
    assert result.pfc.operational == 0b1000
    assert any("PFC: the peer has another version" in warning for warning in result.warnings)
    assert [one.priority for one in result.app.operational] == [0]


def test_another_version() -> None:
    result = heard(LegacyTlv(LegacySubtype.CEE, (Control(1, 1, 1, 1), PFC)))
    assert result.pfc.operational == 0b1000 and any("version 1" in warning for warning in result.warnings)


@pytest.mark.parametrize(
    ("ids", "shares", "word"),
    [
        ((0, 1, 1, 1, 1, 1, 1, 1), (100, 100, 0, 0, 0, 0, 0, 0), "200 %"),
        ((0, 9, 1, 1, 1, 1, 1, 1), (50, 50, 0, 0, 0, 0, 0, 0), "group 9 is reserved"),
        ((0, 1, 2, 3, 0, 0, 0, 0), (25, 25, 25, 25, 0, 0, 0, 0), "4 groups, and 3"),
        ((0, 1, 2, 15, 0, 0, 0, 0), (25, 25, 50, 0, 0, 0, 0, 0), "4 groups, and 3"),
        ((0, 0, 0, 0, 0, 0, 0, 0), (99, 0, 0, 0, 0, 0, 0, 0), "99 %"),
        ((0, 0, 0, 0, 0, 0, 0, 0), (200, 156, 0, 0, 0, 0, 0, 0), "356 %"),
        ((0, 1, 2, 0, 0, 0, 0, 0), (30, 30, 40, 0, 0, 0, 0, 0), "PFC is asked for in 2"),
    ],
)
def test_groups_that_cannot_be(ids: Eight, shares: Eight, word: str) -> None:
    settings = willing(replace(OURS, classes=3, pfc=0b0110, capability=1))
    result = heard(peer_with(PriorityGroups(SOUND, ids, shares, 8)), settings)
    assert (result.ets.operational, result.ets.error) == (SHARED, True)
    assert any(word in warning for warning in result.warnings)


@pytest.mark.parametrize(("one", "other"), [(False, True), (False, False), (True, True)])
def test_groups_that_are_not_used_need_not_fit(one: bool, other: bool) -> None:
    """lldpad has eight groups by default: a NIC with fewer classes is no error where nobody takes them over."""
    eight_groups = Tables((0, 1, 2, 3, 4, 5, 6, 7), (2,) * 8, (13, 13, 13, 13, 12, 12, 12, 12))
    low = End(LOW, willing(replace(OURS, classes=3), one))
    high = End(HIGH, replace(willing(OURS, other), ets=eight_groups))
    converge(low, high)
    here, there = results(low, high)
    assert here.ets.operational == SHARED and not here.ets.error and not here.warnings
    assert here.ets.remote == eight_groups
    assert there.ets.operational == (SHARED if other and not one else eight_groups) and not there.ets.error


def test_absurd_groups_are_named_also_where_nobody_would_follow() -> None:
    groups = PriorityGroups(SOUND, (0,) * 8, (100, 100, 0, 0, 0, 0, 0, 0), 8)
    result = heard(peer_with(groups), willing(OURS, False))
    assert any("200 %" in warning for warning in result.warnings) and not result.ets.error


def test_groups_without_priorities_or_without_a_share() -> None:
    """Switches send both. What no class is left for is the last one's that is there."""
    ids: Eight = (0, 0, 0, 0, 4, 15, 0, 0)
    shares: Eight = (40, 10, 20, 30, 0, 0, 0, 0)
    groups = PriorityGroups(SOUND, ids, shares, 8)
    assert tables_of_cee(groups, 8)[0] == Tables(
        (0, 0, 0, 0, 4, 5, 0, 0), (2, 2, 2, 2, 2, 0, 0, 0), (40, 10, 20, 30, 0, 0, 0, 0)
    )
    assert tables_of_cee(groups, 4)[0] == Tables(
        (0, 0, 0, 0, 2, 3, 0, 0), (2, 2, 2, 0, 0, 0, 0, 0), (40, 10, 50, 0, 0, 0, 0, 0)
    )
    assert tables_of_cee(groups, 3)[0] == Tables(
        (0, 0, 0, 0, 1, 2, 0, 0), (2, 2, 0, 0, 0, 0, 0, 0), (40, 60, 0, 0, 0, 0, 0, 0)
    )
    assert tables_of_cee(groups, 2) == (None, "3 groups, and 2 traffic classes")


@pytest.mark.parametrize(
    ("priorities", "word"),
    [
        ((CinPriority(0, 0, 50), *((CinPriority(0, 0, 7),) * 7)), "the group 0 have 99 %"),
        ((CinPriority(0, 1, 100), *((CinPriority(7, 2, 0),) * 7)), "before the others"),
        ((CinPriority(0, 3, 100), *((CinPriority(7, 2, 0),) * 7)), "before the others"),
    ],
)
def test_cin_groups_that_cannot_be(priorities: tuple[CinPriority, ...], word: str) -> None:
    tables, fault = tables_of_cin(CinPriorityGroups(SOUND, (100, 0, 0, 0, 0, 0, 0, 0), priorities), 8)
    assert tables is None and word in fault


@given(st.lists(st.integers(0, 7), min_size=8, max_size=8))
def test_parts_of_a_group_sum_to_all_of_it(places: list[int]) -> None:
    """lldpad refuses a group whose priorities have 99 % of it."""
    said = cin_groups(Tables(eight(places), (2,) * 8, (13, 13, 13, 13, 12, 12, 12, 12)), SOUND)
    for number in set(places):
        assert sum(one.percent for one in said.priorities if one.group == number) == 100
    assert sum(said.bandwidth) == 100, "also where nobody is in a group"


def test_a_class_without_a_share_is_not_strict() -> None:
    """Unless no class has one: then there is nothing to share."""
    some = Tables((0, 1, 0, 0, 0, 0, 0, 0), (2, 2, 0, 0, 0, 0, 0, 0), (100, 0, 0, 0, 0, 0, 0, 0))
    none = replace(some, tc_bw=(0,) * 8)
    assert cee_groups(some, SOUND, 8).group_ids[:2] == (0, 1)
    assert cee_groups(none, SOUND, 8).group_ids == (15,) * 8


def test_applications_of_others_are_left_alone() -> None:
    """By other OUIs, and of selectors that are reserved."""
    table = (
        CeeApplication(0x8906, 0, CEE_OUI, 16),
        CeeApplication(1, 2, CEE_OUI, 1),
        CeeApplication(1, 0, b"\4\1\2", 1),
    )
    result = heard(peer_with(CeeApplications(SOUND, table)))
    assert [(one.priority, one.protocol) for one in result.app.operational] == [(4, 0x8906)]


def test_five_hundred_applications() -> None:
    """Eight priorities for each of 64 protocols have room in one TLV."""
    table = tuple(CeeApplication(0x9000 + number, 0, CEE_OUI, 0xFF) for number in range(64))
    result = heard(peer_with(CeeApplications(SOUND, table)))
    assert result.app.operational == (FCOE,) and result.app.error
    assert any("512 applications" in warning for warning in result.warnings)


def test_all_strict() -> None:
    """The one case in which no group has a share."""
    result = heard(peer_with(PriorityGroups(SOUND, (15,) * 8, (0,) * 8, 8)))
    assert (result.ets.operational, result.ets.error) == (Tables(), False)


def test_a_tlv_that_comes_twice_counts_once() -> None:
    port = DcbxPort(willing(OURS), LOW)
    bodies = [(CEE_OUI, *cee.encode(peer_with(replace(PFC, enable=1 << number)))) for number in range(2)]
    port.heard(neighbor(HIGH, bodies))
    assert port.result is not None and port.result.pfc.operational == 1
    assert any("twice" in warning for warning in port.result.warnings)


def test_who_says_nothing_keeps_its_own() -> None:
    """Row 2: to the peer it is as if the feature were not there."""
    settings = replace(willing(OURS), advertise=False)
    result = heard(peer_with(PFC), settings)
    assert (result.pfc.operational, result.pfc.remote, result.pfc.reason) == (0b1000, 0b0010, "it is not advertised")
    assert LegacyMachine(Dialect.CEE, settings).say() == ()


def test_what_waits_fits_what_has_changed() -> None:
    """PFC waits for an acknowledgement; meanwhile groups come with which it would take a class too many."""
    spread: Eight = (0, 0, 0, 1, 0, 0, 0, 0)
    settings = replace(willing(OURS), ets=Tables(), pfc=0b01000, capability=1)
    lossless = replace(PFC, enable=0b11000)
    machine = LegacyMachine(Dialect.CEE, settings)
    together = PriorityGroups(SOUND, (0,) * 8, (100,) + (0,) * 7, 8)  # type: ignore[arg-type]
    machine.run(settings, peer_with(lossless, together), several=False)
    groups, pfc, _ = (feature for _, feature in machine.features)
    assert pfc.operational == 0b11000
    settings = replace(settings, pfc=0b10000)
    machine.run(settings, peer_with(lossless, together), several=False)
    assert (pfc.operational, pfc.waits and pfc.waits.number) == (0b11000, "6")
    apart = PriorityGroups(SOUND, spread, (50, 50) + (0,) * 6, 8)  # type: ignore[arg-type]
    machine.run(settings, peer_with(lossless, apart), several=False)
    assert groups.operational.prio_tc == spread
    assert (pfc.operational, pfc.waits and pfc.waits.number) == (0b10000, "6")


def test_an_application_with_two_priorities() -> None:
    result = heard(peer_with(CeeApplications(SOUND, (CeeApplication(0x8906, 0, CEE_OUI, 0b11000),))))
    assert result.app.operational == (FCOE,) and result.app.error


PERCENT = st.lists(st.integers(1, 20), min_size=1, max_size=7)


@given(PERCENT, st.lists(st.integers(0, 7), min_size=8, max_size=8))
def test_tables_both_ways(weights: list[int], places: list[int]) -> None:
    """Classes that share in their order, and one strict class above them, are the same afterwards in both dialects."""
    count = len(weights)
    prio_tc = [min(place, count) for place in places]
    prio_tc[:count] = range(count)
    shares = [100 * weight // sum(weights) or 1 for weight in weights]
    shares[0] += 100 - sum(shares)
    if shares[0] < 1:
        return
    tables = Tables(
        tuple(prio_tc),  # type: ignore[arg-type]
        (2,) * count + (0,) * (8 - count),  # type: ignore[arg-type]
        (*shares, *([0] * (8 - count))),  # type: ignore[arg-type]
    )
    assert tables_of_cee(cee_groups(tables, SOUND, 8), 8) == (tables, "")
    assert tables_of_cin(cin_groups(tables, SOUND), 8) == (tables, "")


@pytest.mark.parametrize("dialect", [Dialect.CEE, Dialect.CIN])
def test_every_truncation_and_every_change_of_every_octet(dialect: Dialect) -> None:
    """Whatever comes, what is in operation can be, and the next sound LLDPDU is understood."""
    settings = willing(replace(OURS, dialect=dialect, classes=3, capability=2))
    here, there = End(LOW, settings), End(HIGH, replace(THEIRS, dialect=dialect))
    converge(here, there)
    before = results(here)[0].ets.operational
    ((oui, subtype, body),) = there.port.tlvs
    changes = [body[:length] for length in range(len(body))]
    changes += [body[:at] + bytes([octet]) + body[at + 1 :] for at in range(len(body)) for octet in EDGES]
    for changed in changes:
        here.port.heard(neighbor(HIGH, [(oui, subtype, changed)]))
        assert_possible(results(here)[0], settings)
    here.port.lost(key(HIGH))
    converge(here, End(HIGH, replace(THEIRS, dialect=dialect)))
    assert results(here)[0].ets.operational == before


def test_what_cannot_be_said() -> None:
    """DSCPs and the default priority in CEE; in CIN all but FCoE."""
    apps = (FCOE, replace(FCOE, selector=5, protocol=46), replace(FCOE, protocol=0), replace(FCOE, protocol=0x8914))
    for dialect, count in ((Dialect.CEE, 2), (Dialect.CIN, 1)):
        machine = LegacyMachine(dialect, replace(OURS, dialect=dialect, apps=apps))
        ((_, subtype, body),) = machine.say()
        tlv = cee.decode(subtype, body)
        assert tlv is not None
        said = [one for one in tlv.sub_tlvs if "Application" in type(one).__name__]
        assert sum(len(one.applications) if isinstance(one, CeeApplications) else 1 for one in said) == count
