"""The request of one VSI as clients and `vsi.d` say it, and the TLV that it means."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta, ValidationError, convert

from evbagent.tables import Table, in_words
from protocols.vdp.filter import FilterFormat, Filters, parse_filters
from protocols.vdp.organizational import CiscoAddress, CiscoVmName, encode
from protocols.vdp.vsi import Hint, Mode, OrganizationalTlv, VsiId, VsiIdFormat, VsiTlv, parse_manager, parse_vsi_id

Text = Annotated[str, Meta(min_length=1, max_length=255)]


class VsiFields(Table, frozen=True, kw_only=True):
    """What is asked of the bridge. All but `request` and `instance` may be left out to deassociate."""

    request: Literal["associate", "preassociate", "preassociate-rr", "deassociate"]
    instance: Text
    manager: Text | None = None
    type: int | None = None
    type_version: int | None = None
    filter: tuple[Text, ...] | None = None
    hint: Literal["none", "suspend", "migrate"] = "none"
    vm_name: Text | None = None
    vm_uuid: Text | None = None
    vm_address: Text | None = None


class VsiSpec(VsiFields, frozen=True, kw_only=True):
    """A client's request. `id` comes back with the answer.

    `wait`: seconds after which the client is told that nothing has come of it yet; None: it waits until something has.
    `persistent`: ask until it is withdrawn, whatever the bridge says. `owner`: on whose behalf; readers are told.
    """

    id: int | str | None = None
    wait: Annotated[float, Meta(ge=0, le=86_400)] | None = None
    persistent: bool = False
    owner: Literal["client", "attach"] = "client"


def parse_spec(spec: Mapping[str, Any]) -> VsiTlv:
    """The TLV that `spec` means. Raises ValueError that names the field: "type: ..."."""
    return vsi_tlv(read_spec(spec))


def read_spec(spec: Mapping[str, Any]) -> VsiSpec:
    """The fields of `spec`, of the right types. Raises ValueError that names the field."""
    try:
        return convert(spec, VsiSpec)
    except ValidationError as error:
        raise ValueError(in_words(str(error))) from error


def vsi_tlv(spec: VsiFields) -> VsiTlv:
    """The TLV that the fields mean. Raises ValueError that names the field."""
    mode = MODES[spec.request]
    if mode is not Mode.DEASSOCIATE:
        for name, value in (
            ("manager", spec.manager),
            ("type", spec.type),
            ("type-version", spec.type_version),
            ("filter", spec.filter),
        ):
            if value is None:
                raise ValueError(f"{name}: is missing")
    vsi_id = _vsi_id(spec.instance, "instance")
    return VsiTlv(
        mode=mode,
        vsi_id=vsi_id,
        manager=NO_MANAGER if spec.manager is None else _manager(spec.manager),
        type_id=_number(spec.type, LARGEST_TYPE, "type"),
        version=_number(spec.type_version, LARGEST_VERSION, "type-version"),
        filters=NO_FILTERS if spec.filter is None else parse_filters(spec.filter),
        hint=HINTS[spec.hint],
        organizational=_organizational(spec, vsi_id),
    )


def _vsi_id(text: str, field: str) -> VsiId:
    try:
        return parse_vsi_id(text)
    except ValueError as error:
        raise ValueError(f"{field}: {error}") from error


def _number(number: int | None, largest: int, field: str) -> int:
    if number is not None and not 0 <= number <= largest:
        raise ValueError(f"{field}: has to be from 0 to {largest}, not {number}")
    return number or 0


def _manager(text: str) -> bytes:
    try:
        return parse_manager(text)
    except ValueError as error:
        raise ValueError(f"manager: {error}") from error


def _organizational(spec: VsiFields, vsi_id: VsiId) -> tuple[OrganizationalTlv, ...]:
    """Cisco's TLVs: name and address go in two, "to be compatible with the switch" (sheet `vdp.md` 7)."""
    tlvs = []
    if spec.vm_name is not None:
        vm_id = NO_UUID if spec.vm_uuid is None else _vsi_id(spec.vm_uuid, "vm-uuid")
        tlvs.append(_encoded(CiscoVmName(vsi_id, vm_id, spec.vm_name), "vm-name"))
    elif spec.vm_uuid is not None:
        raise ValueError("vm-name: is missing, which vm-uuid goes with")
    if spec.vm_address is not None:
        tlvs.append(_encoded(CiscoAddress(vsi_id, spec.vm_address), "vm-address"))
    return tuple(tlvs)


def _encoded(value: CiscoVmName | CiscoAddress, field: str) -> OrganizationalTlv:
    try:
        return encode(value)
    except ValueError as error:
        raise ValueError(f"{field}: {error}") from error


MODES: Mapping[str, Mode] = {mode.word: mode for mode in Mode}
HINTS: Mapping[str, Hint] = {"none": Hint.NONE, "suspend": Hint.SUSPEND, "migrate": Hint.MIGRATE}
LARGEST_TYPE, LARGEST_VERSION = 0xFFFFFF, 0xFF
NO_MANAGER = bytes(16)
NO_UUID = VsiId(VsiIdFormat.UUID, bytes(16))
NO_FILTERS = Filters(FilterFormat.VID, ())
