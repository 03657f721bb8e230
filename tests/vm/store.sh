#!/bin/sh
# Builds the second disk of a machine, its /var/lib/docker: images of this host's engine, loaded by the machine's own
# dockerd. It runs here, at this host's speed: in emulation the same takes minutes.
#
#   usage: store.sh ROOT DISK IMAGE...
#
# ROOT is the folder `root` that image.sh leaves, DISK the file to make. Needs root, mke2fs, and an engine with the images.
set -eu
LC_ALL=C PATH=$PATH:/usr/sbin:/sbin
export LC_ALL PATH
umask 077

[ $# -ge 3 ] || { sed -n '2,/^set -eu/{/^#/s/^# \{0,1\}//p}' "$0" >&2; exit 2; }
# In namespaces of its own: whatever ends this script ends the daemon, and no mount is left.
[ "${STORE_ALONE:-}" = yes ] || exec env STORE_ALONE=yes unshare --mount --pid --fork --kill-child sh "$0" "$@"

root=$1 disk=$2
shift 2
SIZE=4G
SECONDS_TO_START=60
store=$disk.folder
log=$disk.log
trap 'rm -rf "$store"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

mkdir "$store"
chmod 710 "$store"
mount --bind "$root" "$root" # dockerd unpacks layers in a namespace where its root must be a mount
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
mount --bind "$store" "$root/var/lib/docker"

there() { chroot "$root" docker --host unix:///run/store.sock "$@"; }

# No network: an image needs none. In a network namespace of its own: a daemon without a bridge removes the host's
# docker0 when it starts.
# Docker 20.10 wants to lower its own oom_score_adj, which needs CAP_SYS_RESOURCE; later ones have no such flag.
if chroot "$root" dockerd --help 2>&1 | grep -q -e --oom-score-adjust; then oom='--oom-score-adjust 0'; else oom=''; fi
# shellcheck disable=SC2086 # a flag and its value, or nothing
unshare --net chroot "$root" dockerd --host unix:///run/store.sock --exec-root /run/docker --pidfile /run/store.pid $oom \
    --storage-driver overlay2 --bridge none --iptables=false --ip-forward=false >"$log" 2>&1 &
daemon=$!
end=$(($(date +%s) + SECONDS_TO_START))
until there version >/dev/null 2>&1; do
    if ! kill -0 "$daemon" 2>/dev/null || [ "$(date +%s)" -ge "$end" ]; then
        echo "store.sh: the machine's dockerd does not answer:" >&2
        tail -n 20 "$log" >&2
        exit 1
    fi
    sleep 0.1
done

docker save -- "$@" | there load --quiet
there image inspect -- "$@" >/dev/null # an image that `docker save` did not send
kill "$daemon"
wait "$daemon" || :
umount "$root/var/lib/docker"
mke2fs -q -t ext4 -L docker -m 0 -E lazy_itable_init=0,lazy_journal_init=0,nodiscard -d "$store" "$disk" "$SIZE"
