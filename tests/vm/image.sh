#!/bin/sh
# Builds what a virtual machine boots from: a disk with Debian, OpenSSH and Docker, its kernel, and the keys to it.
#
#   usage: image.sh SUITE FOLDER [COMPOSE]
#
# SUITE is trixie (Debian 13) or bookworm (Debian 12). FOLDER is there and empty; afterwards it holds
#   disk.raw     the root file system, sparse (no partitions, no boot loader, no swap)
#   root         the same as a folder; store.sh runs the machine's own dockerd from it
#   vmlinuz      its kernel, with NVMe and ext4 built in: it boots without an initrd
#   id_ed25519   root's key
#   known_hosts  the machine's own key, under the name stackctl-vm
#   packages     what is installed, with versions
# COMPOSE is the compose v2 plugin to place where the suite packages none.
#
# Needs root, mmdebstrap, mke2fs and ssh-keygen: scripts/engine tools vm.
set -eu
LC_ALL=C PATH=$PATH:/usr/sbin:/sbin
export LC_ALL PATH
umask 077

SIZE=6G
PACKAGES=systemd-sysv,dbus,udev,kmod,procps,util-linux,dash,busybox,e2fsprogs,ca-certificates,libpam-modules
PACKAGES=$PACKAGES,openssh-server,iproute2,iptables,ethtool,apparmor,linux-image-cloud-amd64,docker.io

[ $# -ge 2 ] || { sed -n '2,/^set -eu/{/^#/s/^# \{0,1\}//p}' "$0" >&2; exit 2; }
suite=$1 folder=$2 compose=${3:-}
case $suite in
    # Both are split off in Debian 13, and compose there is v2. python3 is for `stackctl load`, which is
    # no part of a server: what prepare.sh needs is in bookworm's machine, which has none.
    trixie) PACKAGES=$PACKAGES,docker-cli,docker-compose,python3 ;;
    bookworm) [ -n "$compose" ] || { echo "$0: bookworm has no compose v2; give its plugin as COMPOSE" >&2; exit 2; } ;;
    *) echo "$0: SUITE is trixie or bookworm, not $suite" >&2; exit 2 ;;
esac

root=$folder/root
trap 'rm -rf --one-file-system "$root"' EXIT # until it is whole
trap 'exit 130' INT
trap 'exit 143' TERM

# INITRD=No: the kernel's hooks make none. It would cost seconds here and at each boot, and nothing needs it.
# The mirror's package lists go (mmdebstrap's own cleanup).
INITRD=No mmdebstrap \
    --mode=root --variant=minbase --format=directory --include="$PACKAGES" \
    --aptopt='APT::Install-Recommends "false"' \
    --aptopt='Acquire::Languages "none"' \
    --aptopt='Acquire::Retries "3"' \
    --aptopt='Acquire::http::Timeout "30"' \
    --dpkgopt='force-unsafe-io' \
    --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' \
    "$suite" "$root"

umask 022
write() { mkdir -p "$root$(dirname "$1")" && cat >"$root$1"; }

# With an id and a finished /etc the first boot is like any later one, and a reboot changes no file.
od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$root/etc/machine-id"
echo "stackctl-$suite" >"$root/etc/hostname"
write /etc/hosts <<HOSTS
127.0.0.1 localhost
127.0.1.1 stackctl-$suite
HOSTS
# Nobody answers names in there: without a server a lookup fails at once.
rm -f "$root/etc/resolv.conf"
: >"$root/etc/resolv.conf"
write /etc/fstab <<'FSTAB'
/dev/nvme0n1 / ext4 rw,noatime 0 0
/dev/vda /var/lib/docker ext4 rw,noatime 0 0
FSTAB
mkdir -p "$root/var/lib/docker"

# networkd starts after systemd-sysctl, so the NIC comes up with the default qdisc that was set for boot.
# The gateway is named because an isolated network's DHCP names none; a server without a default route is none.
write /etc/systemd/network/20-wired.network <<'NETWORK'
[Match]
Name=en* eth*
[Network]
DHCP=ipv4
Gateway=10.0.2.2
LinkLocalAddressing=no
IPv6AcceptRA=no
[DHCPv4]
UseDNS=no
UseHostname=no
NETWORK
# The stack's unit waits until every container is healthy. A busy host emulates that slowly.
write /etc/systemd/system/stackctl-production.service.d/emulated.conf <<'UNIT'
[Service]
TimeoutStartSec=1200
UNIT
write /etc/systemd/journald.conf.d/volatile.conf <<'JOURNAL'
[Journal]
Storage=volatile
JOURNAL

# The keys. Host keys from the package are the same in every copy of it; this one is of this build.
rm -f "$root"/etc/ssh/ssh_host_*
ssh-keygen -q -t ed25519 -N '' -C stackctl-vm -f "$folder/id_ed25519"
ssh-keygen -q -t ed25519 -N '' -C stackctl-vm -f "$root/etc/ssh/ssh_host_ed25519_key"
echo "stackctl-vm $(cut -d' ' -f1,2 "$root/etc/ssh/ssh_host_ed25519_key.pub")" >"$folder/known_hosts"
write /etc/ssh/sshd_config.d/stackctl-vm.conf <<'SSHD'
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
PasswordAuthentication no
MaxSessions 100
SSHD
install -d -m 700 "$root/root/.ssh"
install -m 600 "$folder/id_ed25519.pub" "$root/root/.ssh/authorized_keys"
rm -f "$folder/id_ed25519.pub"

if [ "$suite" = bookworm ]; then
    install -D -m 755 "$compose" "$root/usr/local/lib/docker/cli-plugins/docker-compose"
fi

# What has no purpose in a machine of minutes, and competes with a boot.
systemctl --root="$root" --quiet enable systemd-networkd.service ssh.service docker.service
systemctl --root="$root" --quiet set-default multi-user.target
# shellcheck disable=SC2046 # a list of names
systemctl --root="$root" --quiet mask $(cd "$root/usr/lib/systemd/system" && echo *.timer) \
    systemd-networkd-wait-online.service e2scrub_reap.service systemd-pstore.service systemd-hwdb-update.service \
    systemd-update-utmp.service systemd-random-seed.service getty@tty1.service systemd-remount-fs.service

# Profiles of programs that are not there take half a minute to compile in emulation; Docker brings its own.
find "$root/etc/apparmor.d" -maxdepth 1 -type f -delete

cp "$root"/boot/vmlinuz-* "$folder/vmlinuz"
rm -rf "${root:?}"/boot/* "$root/initrd.img" "$root/vmlinuz" "$root/var/cache/apt" "$root/var/log"/*.log
# shellcheck disable=SC2016 # dpkg-query's fields
dpkg-query --admindir="$root/var/lib/dpkg" -W -f '${Package} ${Version}\n' >"$folder/packages"

# Otherwise the first boot takes /usr for newer than these and does what the packages did already.
touch "$root/etc/.updated" "$root/var/.updated"

# No lazy initialisation: the kernel would go on writing inode tables after the first boot.
mke2fs -q -t ext4 -L root -m 0 -E lazy_itable_init=0,lazy_journal_init=0,nodiscard -d "$root" "$folder/disk.raw" "$SIZE"
chmod 600 "$folder/disk.raw" "$folder/vmlinuz"
trap - EXIT
