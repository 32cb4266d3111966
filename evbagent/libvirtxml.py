"""libvirt's XML for guests and networks: where it names a mode, and how that alone is changed.

The document is never written anew. expat, which knows every encoding, comment and CDATA section, says at which octet an
element begins; the mode's value is found there and replaced, and every other octet stays what it is.
"""

from collections.abc import Mapping
from re import compile as pattern
from typing import NamedTuple
from xml.parsers.expat import ExpatError, ParserCreate
from xml.parsers.expat.errors import messages

MOST_OCTETS = 16 << 20
DEEPEST = 256  # libxml2's own limit
UTF_16 = (b"\xff\xfe", b"\xfe\xff", b"<\0", b"\0<")

DOMAIN_MODES = ("vepa", "bridge", "private", "passthrough")
NETWORK_MODES = (*DOMAIN_MODES, "nat", "route", "open", "hostdev")
"""Words that libvirt knows: `<source mode=…>` of a macvtap, `<forward mode=…>` of a network."""

_INTERFACES = (("domain", "devices", "interface"), ("interface",))
_FORWARD = ("network", "forward")
_ROOTS = ("domain", "network", "interface")
_TAG = pattern(rb"<[^\s/>]+")
_ATTRIBUTE = pattern(rb"""\s+([^\s=/>'"]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")


class DocumentError(Exception):
    """It is not what libvirt would take; the text says where and why."""


class Place(NamedTuple):
    """An element that names a mode, or could: a guest's `<source>`, a network's `<forward>`.

    `mode` is as the document means it, None where there is none; `start` and `end` are the octets of its value, without
    the quotes. `uplinks` are all that may carry the guests, `type` is the interface's, or `forward`; `address` is the
    interface's MAC address and `network` the one that it is in, where the document says so. Lines and columns count
    from 1.
    """

    line: int
    column: int
    type: str
    address: str | None
    network: str | None
    uplinks: tuple[str, ...]
    mode: str | None
    start: int
    end: int


class Document(NamedTuple):
    """`root` is `domain`, `network` or `interface`; `encoding` is the one declared, or UTF-8."""

    octets: bytes
    root: str
    encoding: str
    places: tuple[Place, ...]

    def modes(self) -> tuple[str, ...]:
        """What libvirt accepts as a mode in this document."""
        return NETWORK_MODES if self.root == "network" else DOMAIN_MODES


def read(octets: bytes) -> Document:
    """The document and its places in order. Raises `DocumentError`, also for a DOCTYPE: libvirt has no use for one."""
    if len(octets) > MOST_OCTETS:
        raise DocumentError(f"it is longer than {MOST_OCTETS >> 20} MiB")
    if octets.startswith(UTF_16):
        raise DocumentError("it is in UTF-16, which libvirt does not read: convert it to UTF-8")
    reader = _Reader(octets)
    try:
        reader.parser.Parse(octets, True)
        octets.decode(reader.encoding)  # Python's escapes are more than the single octets that expat asks for
    except ExpatError as error:
        raise DocumentError(f"line {error.lineno}, column {error.offset + 1}: {messages[error.code]}") from error
    except (LookupError, ValueError) as error:  # an encoding that nobody knows, or with several octets a character
        raise DocumentError(f"{reader.where()}: {error}") from error
    return Document(octets, reader.root, reader.encoding, tuple(reader.places))


def rewrite(document: Document, modes: Mapping[Place, str]) -> bytes:
    """The document's octets with other modes in these places of it."""
    pieces, end = [], 0
    for place in sorted(modes, key=lambda place: place.start):
        pieces += [document.octets[end : place.start], modes[place].encode()]
        end = place.end
    return b"".join([*pieces, document.octets[end:]])


class _Reader:
    """Follows the parser through one document."""

    def __init__(self, octets: bytes) -> None:
        self.root = ""
        self.encoding = "UTF-8"
        self.places: list[Place] = []
        self.parser = ParserCreate()
        self.parser.XmlDeclHandler = self._declaration
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self._octets = octets
        self._path: tuple[str, ...] = ()
        self._type = ""
        self._address: str | None = None
        self._sources: list[Place] = []
        self._pool: list[str] = []

    def where(self) -> str:
        """What the parser is at."""
        return f"line {self.parser.CurrentLineNumber}, column {self.parser.CurrentColumnNumber + 1}"

    def _declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        self.encoding = encoding or self.encoding

    def _doctype(self, *_declared: object) -> None:
        raise DocumentError(f"{self.where()}: it has a DOCTYPE, which no libvirt document needs: remove it")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        outer, self._path = self._path, (*self._path, name)
        if len(self._path) > DEEPEST:
            raise DocumentError(f"{self.where()}: more than {DEEPEST} elements inside one another")
        if not outer:
            if name not in _ROOTS:
                raise DocumentError(f"{self.where()}: <{name}> is not a domain, a network or an interface of libvirt")
            self.root = name
        if self._path in _INTERFACES:
            self._type, self._address, self._sources = attributes.get("type", ""), None, []
        elif self._path == _FORWARD:
            self._sources, self._pool = [self._source(attributes)], []
        elif outer in _INTERFACES and name == "source":
            self._sources.append(self._source(attributes))
        elif outer in _INTERFACES and name == "mac":
            self._address = attributes.get("address")
        elif outer == _FORWARD and name == "interface":
            self._pool += [attributes["dev"]] if attributes.get("dev") else []

    def _end(self, _name: str) -> None:
        if self._path in _INTERFACES:
            self.places += [source._replace(type=self._type, address=self._address) for source in self._sources]
        elif self._path == _FORWARD:
            for forward in self._sources:
                uplinks = tuple(dict.fromkeys((*forward.uplinks, *self._pool)))
                self.places.append(forward._replace(type="forward", uplinks=uplinks))
        self._path = self._path[:-1]

    def _source(self, attributes: dict[str, str]) -> Place:
        """As much as its own tag says."""
        uplinks = (attributes["dev"],) if attributes.get("dev") else ()
        start, end = self._value(b"mode") if "mode" in attributes else (0, 0)
        line, column = self.parser.CurrentLineNumber, self.parser.CurrentColumnNumber + 1
        return Place(line, column, "", None, attributes.get("network"), uplinks, attributes.get("mode"), start, end)

    def _value(self, name: bytes) -> tuple[int, int]:
        """Where an attribute's value stands in the start tag that the parser is at.

        The tag is well-formed, and all encodings that come here have ASCII's octets for what is looked at.
        """
        tag = _TAG.match(self._octets, self.parser.CurrentByteIndex)
        attribute = _ATTRIBUTE.match(self._octets, tag.end()) if tag else None
        while attribute:
            if attribute[1] == name:
                return attribute.span(2 if attribute[2] is not None else 3)
            attribute = _ATTRIBUTE.match(self._octets, attribute.end())
        raise DocumentError(f"{self.where()}: cannot find the attribute {name.decode()} in its tag")
