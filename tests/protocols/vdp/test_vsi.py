"""VSI IDs and VSI manager IDs: texts to octets and back, and what is said of texts that mean nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.vdp.filter import Filters
from protocols.vdp.vsi import (
    Hint,
    Mode,
    Response,
    VsiId,
    VsiIdFormat,
    VsiTlv,
    manager_text,
    parse_manager,
    parse_vsi_id,
)

UUID = "a1412857-60f7-4ce1-e95a-216494353f53"
SIXTEEN_OCTETS = st.binary(min_size=16, max_size=16)


@pytest.mark.parametrize(
    ("text", "form", "octets"),
    [
        (UUID, VsiIdFormat.UUID, "a141285760f74ce1e95a216494353f53"),
        ("192.0.2.77", VsiIdFormat.IPV4, "00000000000000000000ffffc000024d"),
        ("2001:db8::7", VsiIdFormat.IPV6, "20010db8000000000000000000000007"),
        ("52:54:00:8e:50:53", VsiIdFormat.MAC, "000000000000000000005254008e5053"),
        ("local:0000000000000000000000000000beef", VsiIdFormat.LOCAL, "0000000000000000000000000000beef"),
        ("format-9:000102030405060708090a0b0c0d0e0f", 9, "000102030405060708090a0b0c0d0e0f"),
        ("format-0:000102030405060708090a0b0c0d0e0f", 0, "000102030405060708090a0b0c0d0e0f"),
    ],
)
def test_vsi_ids(text: str, form: int, octets: str) -> None:
    vsi_id = parse_vsi_id(text)
    assert vsi_id == VsiId(form, bytes.fromhex(octets))
    assert vsi_id.text == text


@pytest.mark.parametrize(
    ("text", "same"),
    [
        (UUID.upper(), UUID),
        (UUID.replace("-", ""), UUID),
        ("52-54-00-8E-50-53", "52:54:00:8e:50:53"),
        ("local:f", "local:0000000000000000000000000000000f"),
        ("local:BEE", "local:00000000000000000000000000000bee"),
        ("2001:0DB8:0::0:7", "2001:db8::7"),
        ("format-5:a141285760f74ce1e95a216494353f53", UUID),
    ],
)
def test_other_spellings_of_vsi_ids(text: str, same: str) -> None:
    assert parse_vsi_id(text).text == same


@pytest.mark.parametrize(
    ("vsi_id", "text"),
    [
        (VsiId(1, bytes(15) + b"\7"), "format-1:00000000000000000000000000000007"),
        (VsiId(3, b"\1" + bytes(15)), "format-3:01000000000000000000000000000000"),
    ],
)
def test_octets_that_are_not_what_their_format_says(vsi_id: VsiId, text: str) -> None:
    assert vsi_id.text == text and parse_vsi_id(text) == vsi_id


@given(st.builds(VsiId, st.integers(0, 255) | st.integers(0, 6), SIXTEEN_OCTETS))
def test_every_vsi_id_can_be_said(vsi_id: VsiId) -> None:
    assert parse_vsi_id(vsi_id.text) == vsi_id


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no UUID, no IPv4"),
        ("vm-3", "no UUID, no IPv4"),
        ("a1412857", "no UUID, no IPv4"),
        (f"{UUID}0", "no UUID, no IPv4"),
        (f"{UUID}\n", "no UUID, no IPv4"),
        ("a14128-5760f7-4ce1-e95a-216494353f53", "no UUID, no IPv4"),
        ("192.0.2.300", "no IPv4 address"),
        ("192.0.2", "no IPv4 address"),
        ("192.0.2.077", "no IPv4 address"),
        ("2001:db8", "no IPv6 address"),
        ("52:54:00:8e:50", "no IPv6 address"),
        ("52:54:00-8e-50-53", "no IPv6 address"),
        ("fe80::1%eth0", "scope"),
        ("local:", "hexadecimal digits, at most 32"),
        ("local:xyz", "hexadecimal digits, at most 32"),
        (f"local:{'0' * 33}", "hexadecimal digits, at most 32"),
        (f"format-256:{'0' * 32}", "at most 255"),
        ("format-9:00", "no IPv6 address"),
    ],
)
def test_what_is_no_vsi_id(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_vsi_id(text)


def test_a_vsi_id_is_a_key() -> None:
    assert {parse_vsi_id(UUID): 1}[VsiId(5, bytes.fromhex(UUID.replace("-", "")))] == 1


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("192.0.2.7", "00000000000000000000ffffc0000207"),
        ("2001:db8::7", "20010db8000000000000000000000007"),
        ("2001:db8::100", "20010db8000000000000000000000100"),
        ("fd00::1", "fd000000000000000000000000000001"),
        ("fe80::1", "fe800000000000000000000000000001"),
        ("::1", "00000000000000000000000000000001"),
        ("blabla", "626c61626c6100000000000000000000"),  # as vdptool has it, in every capture
        ("12", "12000000000000000000000000000000"),  # likewise
        ("0c", "0c000000000000000000000000000000"),
        ("cafe", "cafe0000000000000000000000000000"),
        ("0", "00000000000000000000000000000000"),
        ("fifteen.letters", "6669667465656e2e6c65747465727300"),
        ("fabric-1", "6661627269632d310000000000000000"),
        (UUID, "a141285760f74ce1e95a216494353f53"),
    ],
)
def test_managers(text: str, octets: str) -> None:
    assert parse_manager(text) == bytes.fromhex(octets)
    assert manager_text(bytes.fromhex(octets)) == text


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("::ffff:192.0.2.7", "00000000000000000000ffffc0000207"),
        ("CAFE", "cafe0000000000000000000000000000"),
        ("123", "12030000000000000000000000000000"),  # vdptool's way with an odd digit
        ("1-2", "01020000000000000000000000000000"),
        ("-1-", "01000000000000000000000000000000"),
        ("00000", "00000000000000000000000000000000"),
        ("00", "00000000000000000000000000000000"),
        (UUID.replace("-", ""), "a141285760f74ce1e95a216494353f53"),
        (UUID.upper(), "a141285760f74ce1e95a216494353f53"),
    ],
)
def test_other_spellings_of_managers(text: str, octets: str) -> None:
    assert parse_manager(text) == bytes.fromhex(octets)
    assert parse_manager(manager_text(bytes.fromhex(octets))) == bytes.fromhex(octets)


@given(
    SIXTEEN_OCTETS
    | st.binary(max_size=16).map(lambda octets: octets.ljust(16, b"\0"))
    | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=15).map(
        lambda text: text.encode().ljust(16, b"\0")
    )
    | st.text("0123456789abcdef.:-", max_size=15).map(lambda text: text.encode().ljust(16, b"\0"))
)
def test_every_manager_can_be_said(octets: bytes) -> None:
    assert parse_manager(manager_text(octets)) == octets


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("192.0.2.300", "no IPv4 address"),
        ("1.", "no IPv4 address"),
        ("12:34", "no IPv6 address"),
        ("fe80::1%eth0", "scope"),
        ("name:1", "no IPv6 address"),
        ("-", "no hexadecimal digit"),
        ("0" * 33, "17 octets"),
        ("sixteen.letters.", "printable ASCII"),
        ("two words", "printable ASCII"),
        ("tab\t", "printable ASCII"),
        ("ü", "printable ASCII"),
        ("٣", "printable ASCII"),
    ],
)
def test_what_is_no_manager(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_manager(text)


def test_words() -> None:
    assert [mode.word for mode in Mode] == ["preassociate", "preassociate-rr", "associate", "deassociate"]
    assert len({str(response) for response in Response}) == 10
    assert int(Hint.MIGRATE | Hint.SUSPEND) == 0x30


def test_a_request_says_nothing_that_was_not_asked() -> None:
    tlv = VsiTlv(Mode.ASSOCIATE, parse_vsi_id(UUID), bytes(16), 1, 2, Filters(2, ()))
    assert (tlv.hint, tlv.response, tlv.keep, tlv.hard, tlv.code, tlv.organizational) == (0, None, False, False, 0, ())
