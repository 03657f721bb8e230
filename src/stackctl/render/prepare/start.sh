#!/bin/sh
# Prepares this host for a stack, and undoes it. Rendered by stackctl; reads limits.tsv and etc/ beside itself.
#
#   prepare.sh check                 shows what runs, what the next boot gives, and what is wanted; changes nothing
#   prepare.sh apply [--dry-run]     records what is there, puts etc/ in place, sets what is short, and reads it back
#   prepare.sh rollback [--dry-run]  puts back what was recorded, except what somebody changed since
#
#   --dry-run                        says what would be done, and does nothing
#   --porcelain                      prints one line for each finding, with tabs between its fields
#
# Exit status: 0 all as wanted; 1 something short, or not wholly put back; 2 nothing done: usage, no root, a damaged
# record, a file that cannot be written. The record is in /var/lib/stackctl/host.
# STACKCTL_HOST_ROOT=DIR works on the tree below DIR instead, such as an image that is being built.
set -eu
LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL PATH
umask 022

# awk program VALUES: values.awk

TAB=$(printf '\t')
ROOT=${STACKCTL_HOST_ROOT:-}
ROOT=${ROOT%/}
HERE=$(cd "$(dirname "$0")" && pwd)
TABLE=$HERE/limits.tsv
STATE=$ROOT/var/lib/stackctl/host
BEFORE=$STATE/before
UNITS="docker.service containerd.service telemt.service"

porcelain=no dry=no command=""

usage() { sed -n '2,/^set -eu/{/^#/s/^# \{0,1\}//p}' "$HERE/prepare.sh"; }
say() { if [ $porcelain = yes ]; then printf 'note\t%s\n' "$*"; else printf '%s\n' "$*"; fi; }
die() {
    printf 'prepare.sh: %s\n' "$1" >&2
    printf '  do: %s\n' "$2" >&2
    explained
    exit 2
}
# An end of the script without this mark is an unforeseen error. A file, because a variable set in a subshell is lost.
explained() { [ -z "${WORK:-}" ] || (: >"$WORK/explained") 2>/dev/null || :; }
leave() {
    if [ ! -e "$WORK/explained" ] && [ "$1" -lt 128 ]; then
        printf 'prepare.sh: %s stopped unfinished (status %s); the lines above say why\n' "$command" "$1" >&2
        printf '  do: correct that (often: no room in /tmp or /var/lib), then run the same command again: %s\n' \
            "it goes on where it stopped" >&2
        set -- 2
    fi
    rm -rf "$WORK"
    exit "$1"
}
have() { command -v "$1" >/dev/null 2>&1; }
systemd() { [ -d "$ROOT/run/systemd/system" ] && have systemctl; }

for word in "$@"; do
    case $word in
        check | apply | rollback)
            [ -z "$command" ] || die "two commands: $command and $word" "give one"
            command=$word
            ;;
        --dry-run) dry=yes ;;
        --porcelain) porcelain=yes ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; die "unknown argument: $word" "give one of the commands and options above" ;;
    esac
done
[ -n "$command" ] || { usage >&2; exit 2; }
[ "$command" != check ] || dry=yes
case $ROOT in '' | /*) ;; *) die "STACKCTL_HOST_ROOT is not an absolute path: $ROOT" "write it from / on" ;; esac
[ -d "$ROOT/" ] || die "STACKCTL_HOST_ROOT is not a folder: $ROOT" "correct it, or unset it to work on this machine"
[ -r "$TABLE" ] || die "$TABLE is missing" "run this from the host/ folder of \`stackctl render\`, with all its files"
NAME=$(sed -n "s/^stack$TAB//p" "$TABLE")
case $NAME in '' | *[!a-z0-9-]*) die "$TABLE is damaged: it names no stack" "render again" ;; esac
[ "$(tail -n 1 "$TABLE")" = end ] || die "$TABLE is cut off" "render again, or copy the folder again"
[ -d "$HERE/etc" ] || die "$HERE/etc is missing" "copy the whole host/ folder of \`stackctl render\`"

WORK=$(mktemp -d 2>/dev/null || mktemp -d /run/stackctl.XXXXXX) ||
    die "no room for temporary files" "free space in /tmp or /run"
trap 'leave $?' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
: >"$WORK/trouble"

# trouble KIND NAME REASON: why something could not be read or set; shown with the finding it belongs to.
trouble() { printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$WORK/trouble"; }

if [ $dry = no ]; then
    [ -n "$ROOT" ] || [ "$(id -u)" -eq 0 ] ||
        die "$command changes this machine, and you are not root" "run it as root: sudo sh $HERE/prepare.sh $command"
    if [ "$command" = apply ] || [ -d "$STATE" ]; then
        mkdir -p "$STATE" 2>"$WORK/why" ||
            die "$STATE cannot be made: $(tail -n 1 "$WORK/why")" \
                "make it writable; without a record nothing is changed"
        chmod 700 "$STATE"
        if have flock; then
            # A redirection that fails in exec would end the shell without a remedy.
            (: >>"$STATE/lock") 2>"$WORK/why" ||
                die "$STATE/lock cannot be written: $(tail -n 1 "$WORK/why")" \
                    "make it writable and make room; nothing was changed"
            exec 9>>"$STATE/lock"
            flock -n 9 || die "another prepare.sh is at work on this host" "wait for it to end"
        fi
    fi
elif [ "$command" != check ] && [ -d "$STATE" ] && [ ! -x "$STATE" ]; then
    # A record that cannot be read would look as if nothing had been prepared.
    die "the record in $STATE cannot be read by you" "run it as root: sudo sh $HERE/prepare.sh $command --dry-run"
fi
