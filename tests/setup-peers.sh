#!/bin/sh
# Install the real peers and tools that the system tests use (Debian, Ubuntu; as root), only those that are missing.
# No service of theirs is started or left enabled. When nothing can be installed it says what is missing and ends with 0:
# the tests that need it are skipped, or fail where CI=true.
set -eu
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

# package:program
peers="lldpad:lldpad lldpd:lldpd tshark:tshark tcpdump:tcpdump iproute2:ip util-linux:nsenter mount:mount procps:sysctl"
peers="$peers systemd:systemd-analyze apparmor:apparmor_parser gcc:gcc"
peers="$peers libvirt-daemon-system:libvirtd libvirt-clients:virsh qemu-system-x86:qemu-system-x86_64 libxml2-utils:xmllint"
units="lldpad.service lldpad.socket lldpd.service apparmor.service libvirt-guests.service"
for daemon in libvirtd virtlogd virtlockd; do
    units="$units $daemon.service $daemon.socket $daemon-admin.socket"
done
units="$units libvirtd-ro.socket"

missing=""
for peer in $peers; do
    command -v "${peer#*:}" >/dev/null 2>&1 || missing="$missing ${peer%:*}"
done
if [ -z "$missing" ]; then
    exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "not installed, the tests that need them will say so:$missing (run \`make peers\` as root on Debian or Ubuntu)"
    exit 0
fi

# The packages' scripts ask this file whether they may start services (101: no). It is put back as it was.
policy=/usr/sbin/policy-rc.d
saved=""
restore() {
    rm -f "$policy"
    if [ -n "$saved" ]; then
        mv "$saved" "$policy"
    fi
}
if [ -e "$policy" ] || [ -L "$policy" ]; then
    saved="$policy.before-peers"
    mv "$policy" "$saved"
fi
trap restore EXIT
trap 'exit 1' HUP INT TERM
printf '#!/bin/sh\nexit 101\n' >"$policy"
chmod 755 "$policy"

enabled_units() {
    if command -v systemctl >/dev/null; then
        for unit in $units; do
            if systemctl is-enabled --quiet "$unit" 2>/dev/null; then echo "$unit"; fi
        done
    fi
}

enabled_before=$(enabled_units)
export DEBIAN_FRONTEND=noninteractive
apt-get -q update || echo "apt-get update failed, going on with the package lists that are here"
install="apt-get -q install --yes --no-install-recommends"
# shellcheck disable=SC2086 # a list of words
if ! $install $missing; then
    # One package that this release does not have must not keep the others away.
    for package in $missing; do
        $install "$package" || echo "could not install $package: the tests that need it will say so"
    done
fi
for unit in $(enabled_units); do
    case " $(echo $enabled_before) " in
    *" $unit "*) ;;
    *) systemctl disable --quiet "$unit" || : ;;
    esac
done
