"""Where a libvirt document names modes, and that nothing but they change: every cut and every changed octet of one."""

from collections.abc import Iterator
from xml.etree import ElementTree

import pytest

from evbagent.libvirtxml import DEEPEST, MOST_OCTETS, DocumentError, read, rewrite
from tests.support.domains import DOMAIN, NETWORK, domain

OCTETS = DOMAIN.encode()
# What an octet becomes, beside two of its own bits; the second row is for the long run.
SOME, MANY = b"<'=", b"\0\t\n !\"&'/09;<=>?AZ[]az\x7f\xff"
SMALL = b"<domain><devices><interface type='direct'><source dev='eth0' mode='auto'/></interface></devices></domain>"


def test_places() -> None:
    document = read(OCTETS)
    assert (document.root, document.encoding) == ("domain", "utf-8")
    assert [(p.line, p.column, p.type, p.address, p.uplinks, p.mode) for p in document.places] == [
        (10, 7, "direct", "52:54:00:11:22:33", ("eth0",), "auto"),
        (15, 7, "direct", "52:54:00:11:22:34", ("eth1",), "VEPA"),
        (20, 30, "direct", None, ("eth2",), "all"),
        (21, 31, "network", None, (), None),
        (22, 30, "direct", None, ("eth3",), "passthrough"),
        (23, 31, "hostdev", None, (), None),
    ]
    assert [OCTETS[p.start : p.end] for p in document.places if p.mode] == [
        b"auto",
        b"VEPA",
        b"&#97;ll",
        b"passthrough",
    ]


def test_nothing_else_changes() -> None:
    document = read(OCTETS)
    first, second, third = document.places[:3]
    assert rewrite(document, {}) == OCTETS
    assert rewrite(document, {third: "private", first: "vepa", second: "bridge"}).decode() == (
        DOMAIN.replace("mode='auto'/>\n      <model", "mode='vepa'/>\n      <model")
        .replace('"VEPA"', '"bridge"')
        .replace("&#97;ll", "private")
    )


def test_the_places_of_a_network() -> None:
    (place,) = read(NETWORK.encode()).places
    assert (place.type, place.uplinks, place.mode) == ("forward", ("eth0", "eth1"), "auto")
    assert read(b"<network><forward dev='eth0'/></network>").places[0].mode is None
    assert read(b"<network><forward mode='hostdev'><pf dev='eth0'/></forward></network>").places[0].uplinks == ()
    assert read(b"<network><name>x</name></network>").places == ()


def test_a_single_interface() -> None:
    (place,) = read(b"<interface type='direct'><source dev='eth0' mode='auto'/></interface>").places
    assert (place.type, place.uplinks, place.mode) == ("direct", ("eth0",), "auto")


def test_a_running_guest_of_a_network() -> None:
    text = domain("<source network='pool' portid='1' dev='eth0' mode='vepa'/>")
    (place,) = read(text.encode()).places
    assert (place.network, place.uplinks, place.mode) == ("pool", ("eth0",), "vepa")


@pytest.mark.parametrize(
    ("before", "encoding"),
    [
        (b"\xef\xbb\xbf", "UTF-8"),
        (b"<?xml version='1.0'?>", "UTF-8"),
        (b"<?xml version='1.0' encoding='ISO-8859-1'?><!-- \xe4 -->", "ISO-8859-1"),
        (b"<?xml version='1.0' encoding='windows-1252'?><!-- \x80 -->", "windows-1252"),
        (b"<!--\r\n\r\n-->\r\n", "UTF-8"),
    ],
)
def test_what_stands_before(before: bytes, encoding: str) -> None:
    document = read(before + SMALL)
    assert document.encoding == encoding
    assert rewrite(document, {document.places[0]: "vepa"}) == before + SMALL.replace(b"auto", b"vepa")


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (b"", "line 1, column 1: no element found"),
        (b"hello", "line 1, column 1: syntax error"),
        (b"<domain>\n  <devices>\n  </device>\n</domain>", "line 3, column 5: mismatched tag"),
        (b"<domain/><domain/>", "line 1, column 10: junk after document element"),
        (b"<domain a='1' a='2'/>", "line 1, column 15: duplicate attribute"),
        (b"<domain>\n &mode;</domain>", "line 2, column 2: undefined entity"),
        (b"<domain>\xff</domain>", "line 1, column 9: not well-formed (invalid token)"),
        (b"<domain>\0</domain>", "line 1, column 9: not well-formed (invalid token)"),
        (b"<html/>", "line 1, column 1: <html> is not a domain"),
        (b"<d:domain xmlns:d='x'/>", "line 1, column 1: <d:domain> is not a domain"),
        (b"<?xml version='1.0' encoding='nonsense'?>\n<domain/>", "unknown encoding: nonsense"),
        (b"<?xml version='1.0' encoding='shift_jis'?>\n<domain/>", "multi-byte encodings"),
        (b"<?xml version='1.0' encoding='cp037'?><domain/>", "unknown encoding"),
        (rb"<?xml version='1.0' encoding='raw_unicode_escape'?><domain>\ux</domain>", "rawunicodeescape"),
        (b"<?xml version='1.0' encoding='utf-16'?><domain/>", "incorrect"),
        ("<domain/>".encode("utf-16"), "UTF-16"),
        ("<domain/>".encode("utf-16-le"), "UTF-16"),
        ("<domain/>".encode("utf-16-be"), "UTF-16"),
        (b"<domain>" + b" " * MOST_OCTETS, "longer than 16 MiB"),
        (b"<domain>" + b"<a>" * DEEPEST, "line 1, column 774: more than 256"),
    ],
)
def test_what_is_no_document(octets: bytes, words: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read(octets)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "declared",
    [
        '<!DOCTYPE domain [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>',
        '<!DOCTYPE domain [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE domain SYSTEM "http://192.0.2.1/x.dtd">',
        '<!DOCTYPE domain [<!ATTLIST source mode CDATA "auto">]>',
        "<!DOCTYPE domain>",
    ],
)
def test_no_doctype(declared: str) -> None:
    """Neither bombs nor files nor defaults: none of it is read, since none is let in."""
    with pytest.raises(DocumentError, match=r"line 2, column \d+: it has a DOCTYPE"):
        read(f"<?xml version='1.0'?>\n{declared}\n<domain>&c;&a;</domain>".encode())


def test_an_element_may_be_deep_but_not_deeper() -> None:
    inner = DEEPEST - 1
    assert read(b"<domain>" + b"<a>" * inner + b"</a>" * inner + b"</domain>").places == ()


def test_every_cut() -> None:
    for length in range(OCTETS.rindex(b"</domain>") + len("</domain")):
        with pytest.raises(DocumentError, match=r"line \d+, column \d+: "):
            read(OCTETS[:length])


@pytest.mark.parametrize("others", [SOME, pytest.param(MANY, marks=pytest.mark.system)], ids=["some", "many"])
def test_every_changed_octet(others: bytes) -> None:
    """An error, or a document in which the modes that ElementTree finds have changed, and nothing else has."""
    taken = 0
    for octets in changed(OCTETS, others):
        try:
            document = read(octets)
        except DocumentError:
            continue
        try:
            expected = outline(octets, "bridge")
        except ElementTree.ParseError:
            continue  # it minds namespaces, which are for libvirt to judge
        taken += 1
        modes = {place: "bridge" for place in document.places if place.mode is not None}
        assert outline(rewrite(document, modes), None) == expected
    assert taken > 1000, "most changes of text are harmless"


def changed(octets: bytes, others: bytes) -> Iterator[bytes]:
    for at, octet in enumerate(octets):
        for other in {octet ^ 1, octet ^ 0x80, *others} - {octet}:
            yield octets[:at] + bytes((other,)) + octets[at + 1 :]


def outline(octets: bytes, mode: str | None) -> list[object]:
    """All that ElementTree makes of it, with this mode in place of all that a guest's interfaces have."""
    told = []

    def walk(element: ElementTree.Element, path: str) -> None:
        attributes = dict(element.attrib)
        if mode is not None and path == "/domain/devices/interface/source" and "mode" in attributes:
            attributes["mode"] = mode
        told.append((path, tuple(attributes.items()), element.text, element.tail))
        for inner in element:
            walk(inner, f"{path}/{inner.tag}")

    root = ElementTree.fromstring(octets, ElementTree.XMLParser(target=ElementTree.TreeBuilder(insert_comments=True)))
    walk(root, f"/{root.tag}")
    return told
