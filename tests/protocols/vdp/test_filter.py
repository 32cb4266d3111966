"""Filters: their texts, the rules that a bridge holds them to, and what an answer may change."""

import pytest
from hypothesis import assume, given

from protocols.vdp.filter import MOST_ENTRIES, FilterEntry, FilterFormat, Filters, matches, parse_filters, validate
from tests.support.vdpstrategies import WITH_GROUP, WITH_MAC, valid_filters

MAC = bytes.fromhex("5254008e5053")
OTHER = bytes.fromhex("020000000001")
TEXT = "52:54:00:8e:50:53"


@pytest.mark.parametrize(
    ("text", "form", "entry"),
    [
        ("0", FilterFormat.VID, FilterEntry(0, None, None, None)),
        ("4094", FilterFormat.VID, FilterEntry(4094, None, None, None)),
        ("100/3", FilterFormat.VID, FilterEntry(100, 3, None, None)),
        (f"100-{TEXT}", FilterFormat.MAC_VID, FilterEntry(100, None, MAC, None)),
        (f"0/7-{TEXT}", FilterFormat.MAC_VID, FilterEntry(0, 7, MAC, None)),
        ("30--4660", FilterFormat.GROUP_VID, FilterEntry(30, None, None, 4660)),
        ("30/0--4294967295", FilterFormat.GROUP_VID, FilterEntry(30, 0, None, 0xFFFFFFFF)),
        (f"0-{TEXT}-1", FilterFormat.GROUP_MAC_VID, FilterEntry(0, None, MAC, 1)),
        (f"4/5-{TEXT}-31079", FilterFormat.GROUP_MAC_VID, FilterEntry(4, 5, MAC, 31079)),
    ],
)
def test_texts(text: str, form: FilterFormat, entry: FilterEntry) -> None:
    assert parse_filters([text]) == Filters(form, (entry,))
    assert entry.text == text


def test_other_spellings() -> None:
    (entry,) = parse_filters([f"007-{TEXT.upper()}-0X1234"]).entries
    assert entry.text == f"7-{TEXT}-4660"
    (entry,) = parse_filters(["7--010"]).entries
    assert entry.group == 10


@given(valid_filters())
def test_every_filter_can_be_said(filters: Filters) -> None:
    assert validate(filters) is None
    # What only a bridge has to understand: a null VID beside others that nothing tells it from.
    assume(filters.format != FilterFormat.VID or len(filters.entries) == 1 or all(one.vid for one in filters.entries))
    assert parse_filters([entry.text for entry in filters.entries]) == filters


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ([], "filter: there is none"),
        ([""], "filter 1: '' is not VID"),
        (["7", "vlan"], "filter 2: 'vlan' is not VID"),
        (["7\n"], "filter 1: '7\\n' is not VID"),
        (["-1"], "filter 1: '-1' is not VID"),
        (["7-"], "filter 1: the MAC address after the dash is missing"),
        (["7--"], "filter 1: '7--' is not VID"),
        ([f"7-{TEXT}-"], f"filter 1: '7-{TEXT}-' is not VID"),
        (["7-52-54-00-8e-50-53"], "filter 1: '7-52-54-00-8e-50-53' is not VID"),
        (["7-525400"], "filter 1: MAC address '525400' is not six pairs"),
        (["4095"], "filter 1: VID 4095 is reserved"),
        (["4096"], "filter 1: VID 4096 is not in 0 to 4094"),
        (["45076"], "filter 1: VID 45076 is not in 0 to 4094"),
        (["7/8"], "filter 1: PCP 8 is not in 0 to 7"),
        (["7/"], "filter 1: '7/' is not VID"),
        (["7-00:00:00:00:00:00"], "filter 1: MAC address 00:00:00:00:00:00 is null"),
        (["7-01:80:c2:00:00:00"], "filter 1: MAC address 01:80:c2:00:00:00 is a group address"),
        (["7--0"], "filter 1: GroupID 0 is not in 1 to 4294967295"),
        (["7--4294967296"], "filter 1: GroupID 4294967296 is not in 1 to 4294967295"),
        (["7", f"8-{TEXT}"], "filter 2: is not of the same shape as the first one"),
        ([f"8-{TEXT}", "7"], "filter 2: is not of the same shape as the first one"),
        (["7--1", f"8-{TEXT}-1"], "filter 2: is not of the same shape as the first one"),
        (["0", "7", "0/3"], "filter 3: only one VID may be null"),
        (["0", "7"], "filter 1: VID 0, for the switch to choose, has to be alone"),
        (["7", "8", "0/3"], "filter 3: VID 0, for the switch to choose, has to be alone"),
        (["7", "7/3"], "filter 2: 7/3 is there twice"),
        ([f"0-{TEXT}", f"0-{TEXT}"], f"filter 2: 0-{TEXT} is there twice"),
        (["0--5", "0--5"], "filter 2: 0--5 is there twice"),
    ],
)
def test_a_mistake_is_named(texts: list[str], said: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse_filters(texts)
    assert str(refused.value).startswith(said)


@pytest.mark.parametrize("texts", [[f"0-{TEXT}", "0-02:00:00:00:00:01"], ["0--1", "0--2"], [f"7-{TEXT}", f"8-{TEXT}"]])
def test_what_is_no_mistake(texts: list[str]) -> None:
    assert len(parse_filters(texts).entries) == 2


@pytest.mark.parametrize("form", FilterFormat)
def test_as_many_as_fit_into_a_tlv(form: FilterFormat) -> None:
    most = {FilterFormat.VID: 243, FilterFormat.MAC_VID: 60, FilterFormat.GROUP_VID: 81, FilterFormat.GROUP_MAC_VID: 40}
    entries = [
        FilterEntry(vid, None, MAC if form in WITH_MAC else None, 1 if form in WITH_GROUP else None)
        for vid in range(1, 300)
    ]
    texts = [entry.text for entry in entries]
    assert MOST_ENTRIES[form] == most[form]
    assert len(parse_filters(texts[: most[form]]).entries) == most[form]
    with pytest.raises(ValueError, match=f"{most[form] + 1} entries, at most {most[form]} fit"):
        parse_filters(texts[: most[form] + 1])


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        (Filters(9, (), 1, b"\0\7"), "filter: format 9 is not known"),
        (Filters(0, ()), "filter: format 0 is not known"),
        (Filters(1, ()), "filter: there is none"),
        (Filters(2, (FilterEntry(0x1007, None, MAC, None),)), "filter 1: VID 4103 is not in 0 to 4094"),
        (Filters(2, (FilterEntry(-1, None, MAC, None),)), "filter 1: VID -1 is not in 0 to 4094"),
        (Filters(2, (FilterEntry(1, -1, MAC, None),)), "filter 1: PCP -1 is not in 0 to 7"),
        (Filters(2, (FilterEntry(1, None, MAC[:5], None),)), "filter 1: MAC address 52:54:00:8e:50 has 5 octets"),
        (Filters(2, (FilterEntry(1, None, None, None),)), "filter 1: is not of the same shape"),
        (Filters(4, (FilterEntry(1, None, MAC, 0),)), "filter 1: GroupID 0 is not in 1 to 4294967295"),
    ],
)
def test_values_that_no_text_has(filters: Filters, said: str) -> None:
    fault = validate(filters)
    assert fault is not None and fault.startswith(said)


def mac_vid(vid: int, pcp: int | None = None, mac: bytes = MAC) -> Filters:
    return Filters(2, (FilterEntry(vid, pcp, mac, None),))


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (mac_vid(100), mac_vid(100)),
        (mac_vid(0), mac_vid(305)),
        (mac_vid(0), mac_vid(0)),  # what a bridge that assigned nothing says; whether it will do is not said here
        (mac_vid(0), mac_vid(306, 3)),
        (mac_vid(100), mac_vid(100, 3)),
        (mac_vid(100, 3), mac_vid(100, 3)),
        (Filters(9, (), 1, b"\7"), Filters(9, (), 1, b"\7")),
        (Filters(3, (FilterEntry(0, None, None, 7),)), Filters(3, (FilterEntry(9, None, None, 7),))),
    ],
)
def test_what_an_answer_may_change(request_: Filters, answer: Filters) -> None:
    assert matches(request_, answer) is None


@pytest.mark.parametrize(
    ("request_", "answer", "said"),
    [
        (mac_vid(77), mac_vid(305), "filter 1: VID 305 instead of 77"),
        (mac_vid(77), mac_vid(0), "filter 1: VID 0 instead of 77"),
        (mac_vid(77, 3), mac_vid(77, 4), "filter 1: PCP 4 instead of 3"),
        (mac_vid(77, 0), mac_vid(77), "filter 1: PCP none instead of 0"),
        (mac_vid(77), mac_vid(77, mac=OTHER), f"filter 1: MAC address 02:00:00:00:00:01 instead of {TEXT}"),
        (mac_vid(77), Filters(1, (FilterEntry(77, None, None, None),)), "filter format 1 instead of 2"),
        (mac_vid(77), Filters(2, (*mac_vid(77).entries, *mac_vid(78).entries)), "filters: 2 instead of 1"),
        (
            Filters(2, (*mac_vid(0).entries, *mac_vid(0, mac=OTHER).entries)),
            Filters(2, (*mac_vid(5, mac=OTHER).entries, *mac_vid(5).entries)),
            "filter 1: MAC address",
        ),
        (
            Filters(3, (FilterEntry(0, None, None, 7),)),
            Filters(3, (FilterEntry(9, None, None, 8),)),
            "filter 1: GroupID 8 instead of 7",
        ),
        (Filters(9, (), 1, b"\7"), Filters(9, (), 1, b"\6"), "filter info of an unknown format"),
    ],
)
def test_what_an_answer_may_not_change(request_: Filters, answer: Filters, said: str) -> None:
    difference = matches(request_, answer)
    assert difference is not None and difference.startswith(said)
