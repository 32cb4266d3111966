"""Whatever peers say, in whatever order: well-formed TLVs of sense and nonsense, and what is never in operation."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from protocols.dcbx import cee, ieee
from protocols.dcbx.model import (
    CEE_OUI,
    Application,
    ApplicationPriority,
    CeeApplication,
    CeeApplications,
    CinApplication,
    CinPriority,
    CinPriorityGroups,
    Control,
    EtsConfiguration,
    EtsRecommendation,
    Feature,
    LegacyPfc,
    LegacySubtype,
    LegacyTlv,
    LogicalLink,
    PfcConfiguration,
    PriorityGroups,
)
from protocols.dcbx.port import DcbxPort
from protocols.dcbx.settings import Body, DcbxSettings, Dialect, State
from tests.support.dcbx import FCOE, HIGH, LOW, ROCE, assert_possible, key, neighbor

OCTET, NIBBLE = st.integers(0, 255), st.integers(0, 15)
FLAG = st.booleans()


def eight(numbers: st.SearchStrategy[int]) -> st.SearchStrategy[tuple[int, ...]]:
    return st.lists(numbers, min_size=8, max_size=8).map(tuple)


def shared(places: list[int]) -> tuple[int, ...]:
    """A hundred percent, a tenth to each place that is named."""
    return tuple(10 * places.count(number) for number in range(8))


SHARES = st.lists(st.integers(0, 2), min_size=10, max_size=10).map(shared) | eight(OCTET)
CLASSES = eight(st.integers(0, 2)) | eight(NIBBLE)
SELECTIONS = st.just((2, 2, 2, 0, 0, 0, 0, 0)) | eight(st.sampled_from([0, 1, 2, 2, 255])) | eight(OCTET)
APPLICATIONS = st.lists(
    st.builds(Application, st.integers(0, 7), st.integers(0, 7), st.sampled_from([0, 26, 64, 3260, 4791, 0x8906])),
    max_size=12,
).map(tuple)

IEEE = st.one_of(
    st.builds(EtsConfiguration, FLAG, FLAG, st.integers(1, 8), CLASSES, SHARES, SELECTIONS),
    st.builds(EtsRecommendation, CLASSES, SHARES, SELECTIONS),
    st.builds(PfcConfiguration, FLAG, FLAG, NIBBLE, OCTET),
    st.builds(ApplicationPriority, APPLICATIONS),
).map(lambda tlv: (ieee.OUI, *ieee.encode(tlv)))

NUMBER = st.integers(0, 5) | st.sampled_from([0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
VERSION = st.sampled_from([0, 0, 0, 0, 1, 255])
FEATURE = st.builds(Feature, VERSION, VERSION, st.sampled_from([True, True, True, False]), FLAG, FLAG, VERSION)
CONTROL = st.builds(Control, VERSION, VERSION, NUMBER, NUMBER)
GROUPS = eight(st.sampled_from([0, 1, 2, 15])) | eight(NIBBLE)
CEE_SUB_TLV = st.one_of(
    CONTROL,
    st.builds(PriorityGroups, FEATURE, GROUPS, SHARES, OCTET),
    st.builds(LegacyPfc, FEATURE, OCTET, OCTET),
    st.builds(
        CeeApplications,
        FEATURE,
        st.lists(
            st.builds(
                CeeApplication,
                st.sampled_from([80, 3260, 0x8906]),
                st.integers(0, 3),
                st.sampled_from([CEE_OUI, b"\0\0\0"]),
                st.sampled_from([8, 16]) | OCTET,
            ),
            max_size=4,
        ).map(tuple),
    ),
)
CIN_PRIORITY = st.builds(
    CinPriority, st.integers(0, 2) | st.integers(0, 7), st.sampled_from([0, 0, 2, 1, 3]), st.sampled_from([100, 50, 0])
)
CIN_SUB_TLV = st.one_of(
    CONTROL,
    st.builds(CinPriorityGroups, FEATURE, SHARES, st.lists(CIN_PRIORITY, min_size=8, max_size=8).map(tuple)),
    st.builds(LegacyPfc, FEATURE, OCTET),
    st.builds(CinApplication, FEATURE, OCTET),
    st.builds(LogicalLink, FEATURE, FLAG),
)


def legacy(subtype: LegacySubtype, sub_tlv: st.SearchStrategy[object]) -> st.SearchStrategy[Body]:
    """Most of the time with a control TLV in front, as it should be."""
    return st.tuples(st.lists(CONTROL, min_size=1, max_size=1) | st.just([]), st.lists(sub_tlv, max_size=5)).map(
        lambda parts: (CEE_OUI, *cee.encode(LegacyTlv(subtype, (*parts[0], *parts[1]))))  # type: ignore[arg-type]
    )


BODIES = st.lists(IEEE, max_size=5) | st.lists(
    legacy(LegacySubtype.CEE, CEE_SUB_TLV) | legacy(LegacySubtype.CIN, CIN_SUB_TLV), max_size=2
)
STEPS = st.lists(
    st.tuples(st.sampled_from([HIGH, HIGH, HIGH, bytes.fromhex("020000000c01")]), BODIES | st.none()),
    min_size=1,
    max_size=8,
)
OURS = st.builds(
    DcbxSettings,
    dialect=st.sampled_from([None, None, *Dialect]),
    ets_willing=FLAG,
    pfc=st.sampled_from([0, 0b1000]),
    pfc_willing=FLAG,
    apps=st.sampled_from([(), (FCOE,), (FCOE, ROCE)]),
    apps_willing=FLAG,
    classes=st.sampled_from([3, 8]),
    capability=st.sampled_from([1, 2, 8]),
    credit_based_shaper=FLAG,
)


@given(OURS, STEPS)
def test_nothing_impossible_is_in_operation(ours: DcbxSettings, steps: list[tuple[bytes, list[Body] | None]]) -> None:
    port = DcbxPort(ours, LOW)
    for mac, bodies in steps:
        if bodies is None:
            port.lost(key(mac))
        else:
            port.heard(neighbor(mac, bodies))
        result = port.result
        assert result is not None
        assert_possible(result, ours)
        own = (ours.ets, ours.pfc, ours.apps)
        if result.state is not State.PEER:
            assert (result.ets.operational, result.pfc.operational, result.app.operational) == own
        for feature, mine in zip((result.ets, result.pfc, result.app), own, strict=True):
            assert feature.reason and (feature.willing or feature.operational == mine)
        assert not result.ets.error or result.ets.operational == ours.ets
        assert not result.pfc.error or result.pfc.operational == ours.pfc
        if any(feature.error for feature in (result.ets, result.pfc, result.app)) and result.state is State.PEER:
            assert result.warnings or result.dialect is not Dialect.IEEE
    port.clear()
    assert port.result is not None and port.result.state is State.ALONE


@given(OURS, STEPS)
def test_the_same_again_is_no_news(ours: DcbxSettings, steps: list[tuple[bytes, list[Body] | None]]) -> None:
    """What is heard twice changes nothing, nor do the same settings; and the same inputs give the same outcome."""
    one, other = DcbxPort(ours, LOW), DcbxPort(ours, LOW)
    for mac, bodies in steps:
        for port in (one, other):
            if bodies is None:
                port.lost(key(mac))
            else:
                port.heard(neighbor(mac, bodies))
        before = one.result, one.tlvs
        if bodies is not None:
            one.heard(neighbor(mac, bodies))
        one.configure(replace(ours), LOW)
        assert (one.result, one.tlvs) == before
        assert (other.result, other.tlvs) == before
