#!/bin/sh
# Prepares this host for a stack, and undoes it. Rendered by stackctl; reads limits.tsv and etc/ beside itself.
#
#   prepare.sh check                 what holds now, what will hold after the next boot, what is wanted; changes nothing
#   prepare.sh apply [--dry-run]     records what is there, puts etc/ in place, sets what is short, and reads it back
#   prepare.sh rollback [--dry-run]  puts back what was recorded, where it still is as apply left it
#
#   --porcelain                      one line a finding, fields separated by tabs
#
# Exit status: 0 all as wanted; 1 something short, or not wholly put back; 2 nothing done: usage, no root, a damaged
# record, a file that cannot be written. The record is in /var/lib/stackctl/host.
# STACKCTL_HOST_ROOT=DIR works on the tree below DIR instead, such as an image that is being built.
set -eu
LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL PATH
umask 022

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
# Whatever ends the script without this mark is an error nobody foresaw. In a subshell a variable would not do.
explained() { [ -z "${WORK:-}" ] || (: >"$WORK/explained") 2>/dev/null || :; }
leave() {
    if [ ! -e "$WORK/explained" ] && [ "$1" -lt 128 ]; then
        printf 'prepare.sh: %s stopped unfinished (status %s); what it says above is why\n' "$command" "$1" >&2
        printf '  do: %s\n' "mend that (often: no room in /tmp or /var/lib), then run the same command again: it goes on where it stopped" >&2
        set -- 2
    fi
    rm -rf "$WORK"
    exit "$1"
}
have() { command -v "$1" >/dev/null 2>&1; }
systemd() { [ -d "$ROOT/run/systemd/system" ] && have systemctl; }

for word in "$@"; do
    case $word in
        check | apply | rollback) [ -z "$command" ] || die "two commands: $command and $word" "give one"; command=$word ;;
        --dry-run) dry=yes ;;
        --porcelain) porcelain=yes ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; die "unknown word: $word" "see above" ;;
    esac
done
[ -n "$command" ] || { usage >&2; exit 2; }
[ "$command" != check ] || dry=yes
case $ROOT in '' | /*) ;; *) die "STACKCTL_HOST_ROOT is not an absolute path: $ROOT" "write it from / on" ;; esac
[ -d "$ROOT/" ] || die "STACKCTL_HOST_ROOT is no folder: $ROOT" "correct it, or unset it to work on this machine"
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
    [ -n "$ROOT" ] || [ "$(id -u)" -eq 0 ] || die "$command changes this machine, and you are not root" "run it as root: sudo sh $HERE/prepare.sh $command"
    if [ "$command" = apply ] || [ -d "$STATE" ]; then
        mkdir -p "$STATE" 2>"$WORK/why" || die "$STATE cannot be made: $(tail -n 1 "$WORK/why")" "make it writable; without a record nothing is changed"
        chmod 700 "$STATE"
        if have flock; then
            # A redirection that fails in exec would end the shell with no word on what to do.
            (: >>"$STATE/lock") 2>"$WORK/why" || die "$STATE/lock cannot be written: $(tail -n 1 "$WORK/why")" "make it writable and make room; nothing was changed"
            exec 9>>"$STATE/lock"
            flock -n 9 || die "another prepare.sh is at work on this host" "wait for it to end"
        fi
    fi
elif [ "$command" != check ] && [ -d "$STATE" ] && [ ! -x "$STATE" ]; then
    # Without it a preparation that is there would look like one that is not.
    die "the record in $STATE cannot be read by you" "run it as root: sudo sh $HERE/prepare.sh $command --dry-run"
fi

# Values in awk, where every decision is made: numbers are compared as text, so that 2^63-1 stays exact.
# shellcheck disable=SC2016 # $ in awk
VALUES='
# As text: awk would compare two fields that look like numbers as such, and of 2^53 and more take neighbours for equal.
function norm(v) { gsub(/[ \t]+/, " ", v); sub(/^ /, "", v); sub(/ $/, "", v); return v "" }
function num(v) {
    if (v ~ /^0[0-9]+$/) { sub(/^0+/, "", v); if (v == "") v = "0" }
    return v == "infinity" || v == "unlimited" || v == "max" || v == "-1" ? "9223372036854775807" : v
}
function isnum(v) { return num(v) ~ /^[0-9]+$/ }
function ge(a, b) {
    a = num(a) ""; b = num(b) ""
    return length(a) != length(b) ? length(a) > length(b) : (a "x") >= (b "x")
}
# Whether an observed value is as wanted: equal, at-least (member by member), or covers (a range that contains it).
function holds(compare, got, want,   g, w, n, i) {
    n = split(want, w, " ")
    if (split(got, g, " ") != n) return 0
    if (compare == "equal") return norm(got) == norm(want)
    for (i = 1; i <= n; i++) if (!isnum(g[i]) || !isnum(w[i])) return 0
    if (compare == "covers") return ge(w[1], g[1]) && ge(g[2], w[2])
    for (i = 1; i <= n; i++) if (!ge(g[i], w[i])) return 0
    return 1
}
# The value that satisfies both. Of two words the first stays: neither is greater.
function merge(compare, a, b,   x, y, n, i, out) {
    if (a == "") return b
    n = split(a, x, " ")
    if (split(b, y, " ") != n) return a
    for (i = 1; i <= n; i++) {
        if (!isnum(x[i]) || !isnum(y[i])) return a
        out = out (i > 1 ? " " : "") ((compare == "covers" && i == 1) == ge(x[i], y[i]) ? y[i] : x[i])
    }
    return out
}
'

# --- the record: one file for each thing touched, written before it is touched --------------------------------------
# Its lines: what was there, what apply set, and `end`, without which the file is damaged.

# Writes standard input as file $1, whole or not at all.
whole() {
    { cat >"$1.new" && { sync "$1.new" 2>/dev/null || sync; } && mv -f "$1.new" "$1"; } 2>"$WORK/why" || {
        rm -f "$1.new"
        die "$1 cannot be written: $(tail -n 1 "$WORK/why")" "make room or make it writable, then run the same command again: it goes on where it stopped"
    }
}

# The file of a thing: / in its name becomes %. In the shell alone: a process for each would cost seconds.
item() {
    rest=$2 ITEM=$BEFORE/$1/
    while [ "$rest" != "${rest#*/}" ]; do ITEM=$ITEM${rest%%/*}% rest=${rest#*/}; done
    ITEM=$ITEM$rest
}

# What the item says, in $first and $last.
remembered() { { read -r _ first && read -r _ last; } <"$ITEM"; }

# record KIND NAME BEFORE SET: what was there first stays; what we set last is replaced. `settled` makes it lasting.
record() {
    item "$1" "$2"
    first=$3
    if [ -e "$ITEM" ]; then
        remembered
        [ "$last" != "$4" ] || return 0
        # What was only noted, never set, may have got another value by hand since: that is what was before.
        [ "$first" != "$last" ] || first=$3
    fi
    { [ -d "$BEFORE/$1" ] || mkdir -p "$BEFORE/$1"; } 2>"$WORK/why" || die "$BEFORE/$1 cannot be made: $(tail -n 1 "$WORK/why")" "make room in /var/lib; nothing is changed without a record"
    { printf 'before %s\nset %s\nend\n' "$first" "$4" >"$ITEM.new" && mv -f "$ITEM.new" "$ITEM"; } 2>"$WORK/why" || {
        rm -f "$ITEM.new"
        die "$ITEM cannot be written: $(tail -n 1 "$WORK/why")" "make room in /var/lib, then run the same command again: it goes on where it stopped"
    }
}
# Before the first of the things recorded is touched.
settled() { sync; }
forget() { item "$1" "$2"; rm -f "$ITEM"; }

# Everything recorded, as: kind, name, before, set.
recorded() {
    set -- "$BEFORE"/*/*
    [ -f "$1" ] || return 0
    awk 'BEGIN { OFS = "\t" }
        FNR == 1 { before = substr($0, 8) }
        FNR == 2 {
            n = split(FILENAME, part, "/")
            name = part[n]
            if (name ~ /\.new$/) next
            gsub(/%/, "/", name)
            print part[n - 1], name, before, substr($0, 5)
        }' "$@"
}

# A record that cannot be trusted stops everything before anything is changed.
sound_record() {
    bad=$(find "$BEFORE" -type f ! -name '*.new' 2>/dev/null | awk '{
        file = $0; n = 0; good = 0
        while ((getline line < file) > 0) {
            n++
            if (n == 1 && line ~ /^before / || n == 2 && line ~ /^set / || n == 3 && line == "end") good++
        }
        close(file)
        if (n != 3 || good != 3) { print file; exit }
    }')
    [ -z "$bad" ] || die "the record $bad is damaged; nothing was changed" "if it can't be mended, delete it: what it belongs to is then left as it is, and named"
    if [ -n "$(ls -A "$STATE/stacks" 2>/dev/null)" ] && [ ! -d "$BEFORE" ]; then
        die "the record $BEFORE is gone, so what was there before is not known; nothing was changed" \
            "to leave the preparation: delete $STATE and the files named *stackctl* below /etc, then reboot"
    fi
}

# --- what each stack on this host wants: a copy of its limits.tsv and etc/ -----------------------------------------

# A copy that was complete when its maker died takes its place now; one that was not is dropped.
recover() {
    for made in "$STATE"/stacks/.*.new; do
        [ -d "$made" ] || continue
        stack=${made##*/.} stack=${stack%.new}
        if [ -e "$made/complete" ] && [ ! -d "$STATE/stacks/$stack" ]; then
            mv "$made" "$STATE/stacks/$stack"
        else
            rm -rf "$made"
        fi
    done
    rm -rf "$STATE"/stacks/.*.old
}

# Takes this stack's wishes away in one step: half of them, left by a kill, would be taken for another wish.
retire() {
    rm -rf "$STACKS/.$NAME.old"
    [ ! -d "$STACKS/$NAME" ] || mv "$STACKS/$NAME" "$STACKS/.$NAME.old"
}

# Puts this stack's wishes among the others'. With --dry-run into a copy.
adopt() {
    if [ -d "$STACKS/$NAME" ] && cmp -s "$TABLE" "$STACKS/$NAME/limits.tsv" &&
        [ "$(tree "$HERE")" = "$(tree "$STACKS/$NAME")" ]; then
        return
    fi
    rm -rf "$STACKS/.$NAME.new"
    { mkdir -p "$STACKS/.$NAME.new" && cp -R "$TABLE" "$HERE/etc" "$STACKS/.$NAME.new/" &&
        for part in unit recorded; do [ ! -e "$STACKS/$NAME/$part" ] || cp -R "$STACKS/$NAME/$part" "$STACKS/.$NAME.new/" || exit 1; done &&
        : >"$STACKS/.$NAME.new/complete"; } 2>"$WORK/why" ||
        die "the record in $STACKS cannot be written: $(tail -n 1 "$WORK/why"); nothing was changed" "make room in /var/lib, then run apply again"
    sync
    retire
    mv "$STACKS/.$NAME.new" "$STACKS/$NAME"
    rm -rf "$STACKS/.$NAME.old"
}
tree() { (cd "$1" && find etc -type f -exec cksum {} + | sort); }

STACKS=$STATE/stacks
if [ $dry = yes ]; then
    STACKS=$WORK/stacks
    mkdir "$STACKS"
    [ ! -d "$STATE/stacks" ] || cp -R "$STATE/stacks/." "$STACKS/"
fi

# --- what this host shows now ---------------------------------------------------------------------------------------

path_of() {
    old=$IFS IFS=.
    # shellcheck disable=SC2086 # split at the dots
    set -- $1
    IFS=/
    SYSCTL=$ROOT/proc/sys/$*
    IFS=$old
}

# From keys, a line each, to: key, value; `!reason` where there is none. By awk, not by the shell's read: dash reads a
# byte at a time, and of a sysctl the kernel gives a first read alone.
# shellcheck disable=SC2016 # $ in awk
SYSCTLS='{
    path = $1
    gsub(/\./, "/", path)
    path = root "/proc/sys/" path
    value = "!it cannot be read"
    if ((getline value < path) >= 0) close(path)
    else if (system("test -e \"" path "\"") != 0) value = "!this kernel has no such key"
    # Triples are separated by tabs, as fields are here.
    gsub(/[ \t]+/, " ", value)
    print $1 "\t" value
}'

# Each knob's value now, as: kind, name, value; `!reason` where there is none.
running() {
    awk -F '\t' '$1 == "sysctl" && !seen[$2]++ { print $2 }' "$WORK/wishes" "$WORK/record" >"$WORK/keys"
    # mawk ends at the first key whose read fails: then each is read by one of its own.
    awk -v root="$ROOT" "$SYSCTLS" "$WORK/keys" >"$WORK/values" 2>/dev/null || while IFS= read -r key; do
        echo "$key" | awk -v root="$ROOT" "$SYSCTLS" 2>/dev/null || printf '%s\t!it cannot be read\n' "$key"
    done <"$WORK/keys" >"$WORK/values"
    sed "s/^/sysctl$TAB/" "$WORK/values"
    units_running
    for card in $(cards); do printf 'qdisc\t%s\t%s\n' "$card" "$(qdisc "$card")"; done
    hardware_running
}

# The limits a unit's files give it at its next start, and those of its live process.
units_running() {
    daemons >"$WORK/daemons"
    while IFS="$TAB" read -r unit pid <&3; do
        [ "$pid" -gt 0 ] || continue
        awk -v unit="$unit" 'BEGIN { OFS = "\t" }
            /^Max open files/ { print "limit", unit "/LimitNOFILE", $4 " " $5 }
            /^Max processes/ { print "limit", unit "/LimitNPROC", $3 " " $4 }' "$ROOT/proc/$pid/limits" 2>/dev/null || :
        printf 'tasks\t%s/TasksMax\t%s\n' "$unit" "$(tasks "$pid")"
    done 3<"$WORK/daemons"
    ! systemd || awk -F '\t' '$1 != "pid" { print "unit\t" $2 "/" $1 "\t" $3 }' "$WORK/units"
}
# The units and their main processes, as: unit, pid. systemd is asked once: property, unit, value are in `units`.
daemons() {
    if systemd; then
        # shellcheck disable=SC2086 # a list of names
        systemctl show -p Id -p LoadState -p MainPID -p LimitNOFILE -p LimitNPROC -p TasksMax $UNITS 2>/dev/null | awk -F = '
            function flush(   p) {
                if (v["LoadState"] == "loaded") {
                    for (p in v) if (p ~ /^(Limit(NOFILE|NPROC)|TasksMax)$/) print p "\t" v["Id"] "\t" v[p]
                    print "pid\t" v["Id"] "\t" v["MainPID"] + 0
                }
                split("", v)
            }
            $0 == "" { flush(); next }
            { v[$1] = substr($0, length($1) + 2) }
            END { flush() }' >"$WORK/units"
        sed -n "s/^pid$TAB//p" "$WORK/units"
        return
    fi
    # Without systemd the daemons are known by their names; of several, the oldest.
    for file in "$ROOT"/proc/[0-9]*/comm; do
        { IFS= read -r comm <"$file"; } 2>/dev/null || continue
        file=${file%/comm}
        case $comm in
            dockerd) printf 'docker.service\t%s\n' "${file##*/}" ;;
            containerd) printf 'containerd.service\t%s\n' "${file##*/}" ;;
        esac
    done | sort -t "$TAB" -k 2,2n | awk '!seen[$1]++'
}
pid_of() { awk -F '\t' -v unit="$1" '$1 == unit { print $2; found = 1 } END { if (!found) print 0 }' "$WORK/daemons"; }
# The lowest pids.max from a process's cgroup up to the root.
tasks() {
    group=$(awk -F: '$1 == 0 && $2 == "" { v2 = $3 } $2 ~ /(^|,)pids(,|$)/ { v1 = $3 } END { print v1 != "" ? "/pids" v1 : v2 }' "$ROOT/proc/$1/cgroup" 2>/dev/null || :)
    lowest=infinity
    while [ -n "$group" ] && [ "$group" != / ]; do
        if { IFS= read -r most <"$ROOT/sys/fs/cgroup$group/pids.max"; } 2>/dev/null && [ "$most" != max ]; then
            if [ "$lowest" = infinity ] || [ "$most" -lt "$lowest" ]; then lowest=$most; fi
        fi
        group=${group%/*}
    done
    echo "$lowest"
}

# Cards that carry a default route.
cards() {
    {
        awk 'NR > 1 && $2 == "00000000" && $8 == "00000000" { print $1 }' "$ROOT/proc/net/route" 2>/dev/null || :
        awk '$1 ~ /^0+$/ && $2 == "00" && $10 != "lo" { print $10 }' "$ROOT/proc/net/ipv6_route" 2>/dev/null || :
    } | sort -u
}
# The queueing discipline of a card, or of all its queues; `hand:` before one that somebody put there.
qdisc() {
    if ! have tc; then echo '!tc is not installed (iproute2)'; return; fi
    tc qdisc show dev "$1" 2>/dev/null | awk '
        / root / { root = $2; handle = $3 }
        / parent / && root ~ /^mq/ { if (leaf != "" && leaf != $2) mixed = 1; leaf = $2 }
        END {
            if (root == "") print "!tc shows none"
            else if (mixed) print "hand:its queues differ"
            else if (handle != "0:" && root !~ /^(mq|fq)$/) print "hand:" root
            else print (leaf != "" ? leaf : root)
        }'
}

# What a network namespace has that nobody set anything in: the kernel's own defaults.
fresh() {
    [ -z "$ROOT" ] && [ "$(id -u)" -eq 0 ] && have unshare || return 0
    awk -F '\t' '$1 == "sysctl" && $6 == "netns" { print $2 }' "$TABLE" >"$WORK/netns-keys"
    unshare -n awk "$SYSCTLS" "$WORK/netns-keys" 2>/dev/null | grep -v "$TAB!" || :
}

# --- what the files of this host say for its next boot and for logins -----------------------------------------------

# Every file systemd reads of a folder such as sysctl.d, in its order: by name over all places, where /etc hides
# /run, and /run /usr.
conf_files() {
    for folder in /etc /run /usr/local/lib /usr/lib /lib; do
        for file in "$ROOT$folder/$1"/*.conf; do
            # mawk would stop at a folder.
            if [ ! -d "$file" ] && { [ -e "$file" ] || [ -L "$file" ]; }; then printf '%s\t%s\n' "${file##*/}" "$file"; fi
        done
    done | awk -F '\t' '!seen[$1]++' | sort -t "$TAB" -k 1,1 | cut -f 2
}
sysctl_files() {
    conf_files sysctl.d
    # What is applied later, by others: ufw's own file, and a tuned profile where tuned does not give way.
    if grep -qs '^ENABLED=yes' "$ROOT/etc/ufw/ufw.conf"; then
        file=$(sed -n 's/^IPT_SYSCTL=//p' "$ROOT/etc/default/ufw" 2>/dev/null || :)
        echo "$ROOT${file:-/etc/ufw/sysctl.conf}"
    fi
    if grep -Eqs '^ *reapply_sysctl *= *(0|[Ff]alse|[Nn]o)' "$ROOT/etc/tuned/tuned-main.conf"; then
        for profile in $(cat "$ROOT/etc/tuned/active_profile" 2>/dev/null || :); do tuned_files "$profile" 8; done
    fi
}
# A profile's file after those it includes; at most $2 deep, for a circle has no end.
tuned_files() {
    for folder in /etc/tuned /etc/tuned/profiles /usr/lib/tuned /usr/lib/tuned/profiles; do
        file=$ROOT$folder/$1/tuned.conf
        [ -e "$file" ] || continue
        [ "$2" -eq 0 ] || for profile in $(sed -n 's/^ *include *= *//p' "$file" | tr ',' ' '); do
            # In a subshell, for these variables are global.
            (tuned_files "$profile" $(($2 - 1)))
        done
        echo "$file"
        return
    done
}

# The winner for each key at the next boot, as: key, value, its file, and the same without the files of stacks.
# shellcheck disable=SC2016 # $ in awk
boot() {
    sysctl_files | awk -v root="$ROOT" "$VALUES"'
        # The kernel reads a leading 0 as octal and 0x as hexadecimal.
        function decimal(v,   base, n, i) {
            if (v !~ /^0([0-7]+|[xX][0-9a-fA-F]+)$/) return v
            base = v ~ /[xX]/ ? 16 : 8
            for (i = base == 16 ? 3 : 2; i <= length(v); i++) n = n * base + index("0123456789abcdef", tolower(substr(v, i, 1))) - 1
            return sprintf("%.0f", n)
        }
        function members(text,   list, n, i, out) {
            n = split(text, list, " ")
            for (i = 1; i <= n; i++) out = out (i > 1 ? " " : "") decimal(list[i])
            return out
        }
        {
            path = $0
            file = substr(path, length(root) + 1)
            tuned = file ~ /\/tuned\.conf$/
            use = !tuned
            while ((getline < path) > 0) {
                if (tuned && /^[ \t]*\[/) use = /\[sysctl\]/
                if (!use || !/^[ \t]*[^#; \t].*=/) continue
                key = $0; sub(/=.*/, "", key); key = norm(key); sub(/^-/, "", key)
                # Where a slash comes first, slashes separate.
                if (match(key, /[.\/]/) && substr(key, RSTART, 1) == "/") gsub(/\//, ".", key)
                text = $0; sub(/^[^=]*=/, "", text); text = norm(text)
                # In a tuned profile `>` raises and never lowers.
                if (tuned && sub(/^> */, "", text) && isnum(text) && isnum(value[key]) && ge(value[key], text)) continue
                text = members(text)
                value[key] = text; from[key] = file
                if (file !~ /\/99-zz-stackctl-[a-z0-9-]*\.conf$/) { other[key] = text; whose[key] = file }
            }
            close(path)
        }
        END { for (key in from) print key "\t" value[key] "\t" from[key] "\t" other[key] "\t" whose[key] }'
}

# Modules that will be there before sysctl.d is applied: built in, or listed for the boot.
boot_modules() {
    { echo "$ROOT/etc/modules"; conf_files modules-load.d; } | while IFS= read -r file; do cat "$file" 2>/dev/null || :; done |
        awk '/^[ \t]*[^#; \t]/ { gsub(/-/, "_", $1); print $1 }'
    awk -F / '{ name = $NF; sub(/\.ko.*/, "", name); gsub(/-/, "_", name); print name }' \
        "$ROOT/lib/modules/$(uname -r)/modules.builtin" 2>/dev/null || :
}
has_module() { [ -d "$ROOT/sys/module/$1" ]; }

# What a login gets, by the files PAM reads, as: item/domain, soft and hard, the file that decides. `all` shows only
# what is set on both sides; `others` leaves our files out, and a side that they do not set is 0.
logins() {
    for file in "$ROOT/etc/security/limits.conf" "$ROOT"/etc/security/limits.d/*.conf; do
        case $file in */99-stackctl-*) [ "$1" = all ] || continue ;; esac
        [ ! -f "$file" ] || echo "$file"
    done | awk -v root="$ROOT" -v which="$1" "$VALUES"'
        {
            path = $0
            while ((getline < path) > 0) {
                sub(/#.*/, "")
                if (NF != 4 || $1 != "*" && $1 != "root") continue
                id = $3 "/" $1
                if ($2 != "hard") soft[id] = num($4)
                if ($2 != "soft") hard[id] = num($4)
                from[id] = substr(path, length(root) + 1)
            }
            close(path)
        }
        END {
            for (id in from) if (which == "others" || (id in soft) && (id in hard))
                print id "\t" (id in soft ? soft[id] : 0) " " (id in hard ? hard[id] : 0) "\t" from[id]
        }'
}

# --- what is to be done, decided in one place from what is wanted, running, recorded and set by others --------------

# What all stacks on this host want together, as: kind, name, compare, value. The greater wins.
# shellcheck disable=SC2016 # $ in awk
wishes() {
    {
        for table in "$STACKS"/*/limits.tsv; do [ ! -f "$table" ] || cat "$table"; done
        hardware_wishes
    } | awk -F '\t' -v cards="$(cards | tr '\n' ' ')" -v units="$UNITS" "$VALUES"'
        function wish(kind, name, compare, value,   id) {
            id = kind "\t" name
            rule[id] = compare
            want[id] = merge(compare, want[id], value)
        }
        $1 ~ /^(sysctl|sysfs|irq|ring)$/ { wish($1, $2, $3, $4) }
        # `*` does not cover root, and root may have more than the others.
        $1 == "login" { wish("login", $6 "/*", $3, $4); wish("login", $6 "/root", $3, $4) }
        $1 == "sysctl" && $5 != "-" { wish("module", $5, "equal", "loaded") }
        $2 == "net.core.default_qdisc" { n = split(cards, c, " "); for (i = 1; i <= n; i++) wish("qdisc", c[i], "equal", $4) }
        $1 == "unit" {
            n = split($6, word, " ")
            for (i = 2; i <= n; i++) {
                wish("unit", word[i] "/" word[1], $3, $4)
                if (word[1] ~ /^Limit/) wish("limit", word[i] "/" word[1], $3, $4 " " $4)
            }
        }
        END { for (id in want) print id "\t" rule[id] "\t" want[id] }' | sort
}

# Gathers everything, once.
gather() {
    recorded >"$WORK/record"
    wishes >"$WORK/wishes"
    running >"$WORK/running"
    boot >"$WORK/boot"
    logins others >"$WORK/logins-others"
    awk -F '\t' '$1 == "module" && !seen[$2]++ { print $2 }' "$WORK/wishes" "$WORK/record" | while IFS= read -r module; do
        ! has_module "$module" || printf 'module\t%s\tloaded\n' "$module"
    done >>"$WORK/running"
}

# From the gathered facts to `targets` (what files say: kind, name, value) and `actions` (do, kind, name, to, from).
# A limit is never lowered: what runs now, and what other files give at boot, count as wishes where more is better.
# shellcheck disable=SC2016 # $ in awk
decide() {
    awk -F '\t' -v command="$command" -v work="$WORK" "$VALUES"'
        BEGIN { OFS = "\t" }
        FILENAME ~ /\/record$/ { id = $1 "\t" $2; known[id] = 1; before[id] = norm($3); set_to[id] = norm($4); next }
        FILENAME ~ /\/running$/ { now[$1 "\t" $2] = $3 ~ /^!/ ? $3 : norm($3); next }
        FILENAME ~ /\/boot$/ { other["sysctl\t" $1] = $4; next }
        FILENAME ~ /\/logins-others$/ { now["login\t" $1] = $2; next }
        FILENAME ~ /\/wishes$/ { wish[$1 "\t" $2] = norm($4); rule[$1 "\t" $2] = $3; next }
        END {
            for (id in wish) {
                cur = now[id]; read = cur != "" && cur !~ /^!/
                base = known[id] && (cur == set_to[id] || id ~ /^unit/) ? before[id] : cur
                target = wish[id]
                if (rule[id] != "equal" && base != "" && base !~ /^!/) target = merge(rule[id], target, base)
                final = rule[id] == "equal" ? target : merge(rule[id], target, other[id])
                print id, final >(work "/targets")
                if (id ~ /^login/ || !read && id !~ /^module/) continue
                if (id ~ /^unit/) { if (!known[id]) print "note", id, cur, cur; continue }
                if (command == "rollback") {
                    if (known[id] && cur == set_to[id] && cur != target) print "lower", id, target, cur
                } else if (cur != target) print "set", id, target, cur == "" ? "absent" : cur
                else if (!known[id]) print "note", id, cur, cur
            }
            for (id in known) if (!(id in wish) && id !~ /^(file|dir|enabled)\t/) {
                cur = id ~ /^module/ && now[id] == "" ? "absent" : now[id]
                if (cur == before[id] || before[id] == set_to[id] || id ~ /^unit/) print "forget", id, "", cur
                else if (cur == set_to[id]) print "restore", id, before[id], cur
                else print "leave", id, before[id], cur
            }
        }' "$WORK/record" "$WORK/running" "$WORK/boot" "$WORK/logins-others" "$WORK/wishes" >"$WORK/actions.unsorted"
    [ -e "$WORK/targets" ] || : >"$WORK/targets"
    # Ceilings before what they cap; on the way back the other way round, and modules after their keys.
    awk -F '\t' -v command="$command" '
        { rank = index("module file ring sysctl sysfs irq limit qdisc unit", $2); if (command == "rollback") rank = index("limit irq sysctl qdisc sysfs ring unit module", $2)
          if ($3 ~ /default_qdisc/) rank = rank - 0.5; if ($3 ~ /^fs\.nr_open/) rank = rank - 0.4; if ($3 ~ /nf_conntrack_max/) rank = rank + 0.4
          printf "%06.2f\t%s\n", rank, $0 }' "$WORK/actions.unsorted" | sort -t "$TAB" -k 1,1n -k 4,4 | cut -f 2- >"$WORK/actions"
}

# --- the files below /etc -------------------------------------------------------------------------------------------

# Every stack's files, with the values all stacks agree on, below $WORK/new.
# shellcheck disable=SC2016 # $ in awk
compose_files() {
    mkdir "$WORK/new"
    for stack in "$STACKS"/*; do
        [ -d "$stack/etc" ] || continue
        (cd "$stack" && find etc -type f) | while IFS= read -r path; do
            mkdir -p "$WORK/new/${path%/*}"
            awk -F '\t' -v path="$path" '
                FILENAME ~ /\/targets$/ { target[$1 "\t" $2] = $3; next }
                path ~ /^etc\/sysctl\.d\// && /^[a-z].* = / {
                    key = $0; sub(/ = .*/, "", key)
                    if (("sysctl\t" key) in target) { print key " = " target["sysctl\t" key]; next }
                }
                path ~ /^etc\/security\// && /^[^#]/ {
                    split($0, word, " "); split(target["login\t" word[3] "/" word[1]], pair, " ")
                    if (word[2] == "soft" || word[2] == "hard") {
                        value = pair[word[2] == "soft" ? 1 : 2]
                        print word[1], word[2], word[3], value == "9223372036854775807" ? "unlimited" : value
                        next
                    }
                }
                path ~ /^etc\/systemd\// && /^[A-Z][A-Za-z]*=/ {
                    unit = path; sub(/.*\/system\//, "", unit); sub(/\.d\/.*/, "", unit)
                    key = $0; sub(/=.*/, "", key)
                    id = "unit\t" unit "/" key
                    if (id in target) { print key "=" target[id]; next }
                }
                { print }' "$WORK/targets" "$stack/$path" >"$WORK/new/$path"
        done
    done
    boot_unit
    hardware_files
}

# The unit that starts a stack at boot belongs to the folder it is started from.
boot_unit() {
    [ "$command" = rollback ] || [ ! -f "$HERE/stackctl-$NAME.service" ] || {
        folder=${HERE%/host}
        if [ ! -f "$folder/compose.yaml" ] || [ "$folder" = "$HERE" ]; then
            say "the unit that starts the stack at boot is not put in place: there is no compose.yaml in $folder. Run this from the rendered folder's host/ on the server"
        else
            case $folder in
                *[!A-Za-z0-9/._-]*) say "the unit that starts the stack at boot is not put in place: systemd would misread the folder's name, $folder" ;;
                *)
                    mkdir -p "$STACKS/$NAME/unit" "$WORK/new/etc/systemd/system"
                    sed "s|/opt/stackctl/$NAME|$folder|g" "$HERE/stackctl-$NAME.service" >"$WORK/unit"
                    cmp -s "$WORK/unit" "$STACKS/$NAME/unit/stackctl-$NAME.service" || whole "$STACKS/$NAME/unit/stackctl-$NAME.service" <"$WORK/unit"
                    ;;
            esac
        fi
    }
    for file in "$STACKS"/*/unit/*.service; do
        [ ! -f "$file" ] || { mkdir -p "$WORK/new/etc/systemd/system" && cp "$file" "$WORK/new/etc/systemd/system/"; }
    done
}

# A symlink is what it points to, not what is in there: put back, it is a symlink again.
sum() { if [ -L "$1" ]; then echo "link $(readlink "$1")"; elif [ -e "$1" ]; then cksum <"$1"; else echo absent; fi; }

# Folders a file needs are recorded, so that rollback takes away what apply made.
record_folders() {
    [ -d "$ROOT$1" ] || { record_folders "${1%/*}"; record dir "$1" absent made; }
}

# Files of `new` that differ: copied and recorded first, all of them, then put in place. Recorded ones that nobody
# wants any more go back.
put_files() {
    (cd "$WORK/new" && find etc -type f 2>/dev/null | sort) >"$WORK/wanted-files"
    : >"$WORK/changed-files"
    while IFS= read -r path <&3; do
        path=/$path
        was=$(sum "$ROOT$path") new=$(sum "$WORK/new$path")
        item file "$path"
        if [ "$was" = "$new" ]; then
            [ $dry = yes ] || [ -e "$ITEM" ] || record file "$path" "$was" "$new"
            continue
        fi
        echo "$path" >>"$WORK/changed-files"
        [ $dry = no ] || continue
        record_folders "${path%/*}"
        [ "$was" = absent ] || keep_copy "$path" "$was"
        record file "$path" "$was" "$new"
    done 3<"$WORK/wanted-files"
    [ ! -s "$WORK/changed-files" ] || [ $dry = yes ] || settled
    while IFS= read -r path <&3; do
        change "write $path"
        [ $dry = no ] || continue
        mkdir -p "$ROOT${path%/*}" 2>"$WORK/why" || die "$ROOT${path%/*} cannot be made: $(tail -n 1 "$WORK/why")" "make $ROOT/etc writable, then run this again; rollback undoes what was done so far"
        whole "$ROOT$path" <"$WORK/new$path"
        chmod 644 "$ROOT$path"
        case $path in /etc/systemd/*) : >"$WORK/reload" ;; esac
    done 3<"$WORK/changed-files"
    awk -F '\t' '$1 == "file"' "$WORK/record" >"$WORK/recorded-files"
    while IFS="$TAB" read -r _ path was set <&3; do
        ! grep -qxF "${path#/}" "$WORK/wanted-files" || continue
        drop_file "$path" "$was" "$set"
    done 3<"$WORK/recorded-files"
}

# What stood in a file before, with mode and owner; a later hand's edit is kept too, under another name. $2: its sum.
keep_copy() {
    item file "$1"
    copy=$STATE/files/$(printf %s "$1" | tr / %)
    if [ -e "$ITEM" ]; then
        remembered
        # Where both are the same we never wrote it: it stood there already, as it was rendered.
        if [ "$first" != "$last" ]; then
            [ "$2" != "$last" ] || return 0
            # Recorded, and killed before it was written; or put back, and killed before that was forgotten.
            if [ "$2" = "$first" ]; then
                if [ -e "$copy" ] || [ -L "$copy" ]; then return 0; fi
            else
                copy=$copy.edited
                say "$1 was edited after it was put in place; that text is kept as $copy"
            fi
        fi
    fi
    { mkdir -p "$STATE/files" && cp -pP "$ROOT$1" "$copy.new" && mv -f "$copy.new" "$copy"; } 2>"$WORK/why" ||
        die "$copy cannot be written: $(tail -n 1 "$WORK/why")" "make room in /var/lib; nothing is replaced without a copy"
}

drop_file() {
    cur=$(sum "$ROOT$1")
    copy=$STATE/files/$(printf %s "$1" | tr / %)
    # What a kill left of a file that was being written.
    [ $dry = yes ] || rm -f "$ROOT$1.new"
    if [ "$cur" = "$3" ] && [ "$cur" != "$2" ]; then
        if [ "$2" = absent ]; then change "remove $1"; else change "put back $1"; fi
        [ $dry = no ] || return 0
        if [ "$2" = absent ]; then
            rm -f "$ROOT$1" 2>"$WORK/why" || die "$1 cannot be removed: $(tail -n 1 "$WORK/why")" "make it writable, then run this again"
        else
            { cp -pP "$copy" "$ROOT$1.new" && mv -f "$ROOT$1.new" "$ROOT$1"; } 2>"$WORK/why" ||
                die "$1 cannot be put back: $(tail -n 1 "$WORK/why")" "make room; the file is kept as $copy"
        fi
        case $1 in /etc/systemd/*) : >"$WORK/reload" ;; esac
    elif [ "$cur" != "$2" ]; then
        left file "$1" "it was changed after apply put it there"
    fi
    [ $dry = yes ] || { forget file "$1"; rm -f "$copy"; }
}

# Folders that apply made and that are empty again. One that somebody uses by now stays, and is theirs.
drop_folders() {
    awk -F '\t' '$1 == "dir" { print $2 }' "$WORK/record" | sort -r | while IFS= read -r path; do
        if [ ! -d "$ROOT$path" ] || rmdir "$ROOT$path" 2>/dev/null || [ -z "$(ls -A "$STACKS" 2>/dev/null)" ]; then forget dir "$path"; fi
    done
}

# --- doing it -------------------------------------------------------------------------------------------------------

: >"$WORK/changes"
: >"$WORK/left"
change() {
    echo x >>"$WORK/changes"
    if [ $porcelain = yes ]; then printf 'change\t%s\n' "$1"; elif [ $dry = yes ]; then echo "would $1"; else echo "$1"; fi
}
left() { printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$WORK/left"; }

# put KIND NAME VALUE: what goes wrong is the reason of the row it belongs to, and nothing else stops.
put() {
    if why=$("put_$1" "$2" "$3" 2>&1); then return 0; fi
    why=$(printf %s "$why" | tail -n 1)
    trouble "$1" "$2" "${why:-the kernel refused it}"
    return 1
}
put_module() {
    if [ "$2" = loaded ]; then
        have modprobe || { echo "modprobe is not installed (kmod)"; return 1; }
        modprobe "$1"
    elif [ -n "$(cat "$ROOT/sys/module/$1/holders/"* 2>/dev/null; ls "$ROOT/sys/module/$1/holders" 2>/dev/null)" ] || ! rmmod "$1"; then
        echo "the module is in use; it is gone after a boot, or run rollback again once nothing uses it"
        return 1
    fi
}
put_sysctl() {
    path_of "$1"
    [ -e "$SYSCTL" ] || { echo "this kernel has no such key"; return 1; }
    into "$SYSCTL" "$2"
}
# Writes a value into a file of the kernel's; its refusal in a few words.
into() {
    if ! (printf '%s\n' "$2" >"$1") 2>"$WORK/why"; then
        sed 's/^[^:]*: *[0-9]*: *//; s/^.*: //' "$WORK/why" | tail -n 1 | sed "s/^/the kernel refused it: /"
        return 1
    fi
}
put_limit() {
    have prlimit || { echo "prlimit is not installed (util-linux)"; return 1; }
    case ${1#*/} in LimitNOFILE) flag=--nofile ;; *) flag=--nproc ;; esac
    pid=$(pid_of "${1%/*}")
    prlimit --pid "$pid" "$flag=$(printf %s "$2" | tr ' ' :)"
}
put_qdisc() {
    # Replaced by one with a handle and taken away again: the kernel then puts its default there, on every queue.
    tc qdisc replace dev "$1" root pfifo && tc qdisc del dev "$1" root
    got=$(qdisc "$1")
    [ "$got" = "$2" ] || { echo "the card has $got"; return 1; }
}
put_unit() { :; }

# The kernel may round what it is given (nf_conntrack_buckets to whole pages): what it made of it is what we set.
rounded() {
    [ "$1" = sysctl ] || return 0
    value=$(echo "$2" | awk -v root="$ROOT" "$SYSCTLS" | cut -f 2)
    case $value in '!'* | "$3" | "$4") ;; *) record sysctl "$2" "$3" "$value" ;; esac
}

# Records each action of decide. What is as wanted already is recorded too, and before our files can be what makes it so.
record_actions() {
    [ $dry = no ] || return 0
    while IFS="$TAB" read -r deed kind name to from <&3; do
        case $deed in
            note) record "$kind" "$name" "$from" "$from" ;;
            set | lower) case $from in hand:*) ;; *) record "$kind" "$name" "$from" "$to" ;; esac ;;
        esac
    done 3<"$WORK/actions"
    settled
}

# Does what is recorded.
act() {
    while IFS="$TAB" read -r deed kind name to from <&3; do
        case $deed in
            set)
                case $from in hand:*) trouble "$kind" "$name" "somebody put ${from#hand:} there; it is left alone"; continue ;; esac
                change "set $kind $name: $from -> $to"
                [ $dry = no ] || continue
                if put "$kind" "$name" "$to"; then rounded "$kind" "$name" "$from" "$to"; fi
                ;;
            lower)
                change "set $kind $name: $from -> $to, which the other stacks on this host want"
                [ $dry = no ] || continue
                if put "$kind" "$name" "$to"; then rounded "$kind" "$name" "$from" "$to"; fi
                ;;
            restore)
                change "put back $kind $name: $from -> $to"
                [ $dry = no ] || continue
                if put "$kind" "$name" "$to"; then
                    forget "$kind" "$name"
                else
                    left "$kind" "$name" "$(tail -n 1 "$WORK/trouble" | cut -f 3)"
                fi
                ;;
            forget) [ $dry = yes ] || forget "$kind" "$name" ;;
            leave)
                if [ -z "$from" ] || [ "$from" != "${from#!}" ]; then from="not there any more"; fi
                left "$kind" "$name" "it is $from, which apply did not set; before apply it was $to"
                [ $dry = yes ] || forget "$kind" "$name"
                ;;
        esac
    done 3<"$WORK/actions"
}

reload_systemd() {
    [ -e "$WORK/reload" ] && systemd || return 0
    systemctl daemon-reload 2>"$WORK/why" || say "systemctl daemon-reload failed: $(tail -n 1 "$WORK/why")"
}

# The unit of each stack on this host is enabled; the symlink is recorded like a file.
enable_units() {
    systemd || return 0
    for file in "$STACKS"/*/unit/*.service; do
        [ -f "$file" ] || continue
        unit=${file##*/}
        [ "$(systemctl is-enabled "$unit" 2>/dev/null)" != enabled ] || continue
        change "enable $unit"
        [ $dry = no ] || continue
        record enabled "$unit" disabled enabled
        systemctl --quiet enable "$unit" 2>"$WORK/why" || trouble enabled "$unit" "$(tail -n 1 "$WORK/why")"
    done
}
disable_units() {
    awk -F '\t' '$1 == "enabled" { print $2 }' "$WORK/record" >"$WORK/enabled"
    while IFS= read -r unit <&3; do
        stack=${unit#stackctl-} stack=${stack%.service}
        [ ! -d "$STACKS/$stack" ] || continue
        change "disable $unit"
        [ $dry = no ] || continue
        ! systemd || systemctl --quiet disable "$unit" 2>"$WORK/why" || left enabled "$unit" "$(tail -n 1 "$WORK/why")"
        forget enabled "$unit"
    done 3<"$WORK/enabled"
}

# --- cards, queues and processors: read and advised on; set only where stack.yaml asks ------------------------------

# Lists of CPUs and their masks in awk. A mask is compared without leading zeros: 00000000,00000003 is 3.
# shellcheck disable=SC2016 # $ in awk
MASKS='
function members(list, into,   part, n, i, ends, c, count) {
    n = split(list, part, /[, ]/)
    for (i = 1; i <= n; i++) {
        if (part[i] !~ /^[0-9]+(-[0-9]+)?$/) continue
        if (split(part[i], ends, "-") == 1) ends[2] = ends[1]
        for (c = ends[1] + 0; c <= ends[2] + 0; c++) into[++count] = c
    }
    return count + 0
}
function grouped(hex,   out) {
    while (length(hex) > 8) { out = "," substr(hex, length(hex) - 7) out; hex = substr(hex, 1, length(hex) - 8) }
    return hex out
}
function canonical(mask) { gsub(/,/, "", mask); sub(/^0+/, "", mask); return grouped(mask == "" ? "0" : tolower(mask)) }
# The mask of every step-th CPU of cpu[1..n], from the first-th on.
function mask_of(cpu, n, first, step,   i, nibble, top, hex) {
    for (i = first; i <= n; i += step) {
        # Not 2 ^ n: an awk of busybox may come without powers.
        nibble[int(cpu[i] / 4)] += substr("1248", cpu[i] % 4 + 1, 1)
        if (int(cpu[i] / 4) > top) top = int(cpu[i] / 4)
    }
    for (i = top + 0; i >= 0; i--) hex = hex sprintf("%x", nibble[i] + 0)
    return canonical(hex)
}
'

# The first line of a file below /sys or /proc; nothing where it cannot be read.
line_of() {
    line=""
    { IFS= read -r line <"$1" || :; } 2>/dev/null
    [ -z "$line" ] || printf '%s\n' "$line"
}

# Cards packets really come through: the ports below a bond, VLAN or bridge that carries the default route.
ports() {
    for card in $(cards); do below "$card"; done | sort -u
}
below() {
    found=no
    for lower in "$ROOT/sys/class/net/$1"/lower_*; do
        if [ -e "$lower" ]; then
            found=yes
            (below "${lower##*/lower_}" port)
        fi
    done
    # A bridge's ports may be virtual ones too, of containers and guests.
    if [ $found = no ] && { [ $# -eq 1 ] || [ -e "$ROOT/sys/class/net/$1/device" ]; }; then echo "$1"; fi
}
queues() { find "$ROOT/sys/class/net/$1/queues/" -maxdepth 1 -name "$2-*" 2>/dev/null | wc -l | tr -d ' '; }

# The processors work is spread over: online, and not kept apart from the scheduler.
online() {
    all=$(line_of "$ROOT/sys/devices/system/cpu/online")
    apart="$(line_of "$ROOT/sys/devices/system/cpu/isolated"),$(line_of "$ROOT/sys/devices/system/cpu/nohz_full")"
    awk -v all="${all:-0}" -v apart="$apart" -v among="${1:-}" "$MASKS"'BEGIN {
        n = members(apart, a); for (i = 1; i <= n; i++) skip[a[i]] = 1
        m = members(among, b); for (i = 1; i <= m; i++) near[b[i]] = 1
        n = members(all, c)
        for (i = 1; i <= n; i++) if (!(c[i] in skip) && (!m || c[i] in near)) printf "%s%s", (done++ ? "," : ""), c[i]
        print ""
    }'
}
# A card's NUMA node; -1 where the machine does not say. A virtio card's is its parent's.
node_of() {
    for up in . ..; do
        node=$(line_of "$ROOT/sys/class/net/$1/device/$up/numa_node")
        [ -z "$node" ] || break
    done
    echo "${node:--1}"
}
near() {
    node=$(node_of "$1")
    cpus=""
    [ "$node" -lt 0 ] || cpus=$(online "$(line_of "$ROOT/sys/devices/system/node/node$node/cpulist")")
    [ -n "$cpus" ] || cpus=$(online)
    echo "$cpus"
}

# The interrupts of a card's queues, as: number, name. Numbers change at a boot, names do not; a driver's names for
# what else a card interrupts for are left out, unless there is nothing else.
interrupts() {
    {
        for up in . ..; do
            for file in "$ROOT/sys/class/net/$1/device/$up/msi_irqs"/*; do
                for folder in "$ROOT/proc/irq/${file##*/}"/*/; do printf '%s\n' "$folder"; done
            done
        done
        for folder in "$ROOT"/proc/irq/*/"$1"/ "$ROOT"/proc/irq/*/"$1"-*/ "$ROOT"/proc/irq/*/*-"$1"-*/; do printf '%s\n' "$folder"; done
    } | awk -F / 'BEGIN { OFS = "\t" }
        { name = $(NF - 1); number = $(NF - 2) }
        number !~ /^[0-9]+$/ || name !~ /^[A-Za-z0-9@:._+-]+$/ || seen[name]++ { next }
        {
            kind = tolower(name); sub(/@.*/, "", kind)
            other = kind ~ /config|control|event|async|misc|mgm|mbox|cmd|ptp|fdir/
            if (!other && kind ~ /rx|tx|input|output|comp[0-9]|fp|ntfy|q[0-9]|-[0-9]+$/) print number, name
            else if (!other) last = number OFS name
            found += !other && kind ~ /rx|tx|input|output|comp[0-9]|fp|ntfy|q[0-9]|-[0-9]+$/
        }
        END { if (!found && last != "") print last }' | sort -n
}
irqbalance() { grep -qsx irqbalance "$ROOT"/proc/[0-9]*/comm; }

# A card's ring sizes, receive and transmit, now and at most; `-` where it has none. `!reason` where unknown.
rings() {
    if ! have ethtool; then echo '!ethtool is not installed'; return; fi
    ethtool -g "$1" 2>/dev/null | awk '
        /^Pre-set/ { at = "max" }
        /^Current/ { at = "now" }
        /^[RT]X:/ { size[at, $1] = $2 ~ /^[0-9]+$/ ? $2 : "-" }
        END { if (("now", "RX:") in size) print size["now", "RX:"], size["now", "TX:"], size["max", "RX:"], size["max", "TX:"]; else print "!this card shows no ring sizes" }'
}

# --- reading and setting them ---------------------------------------------------------------------------------------

# The value of each knob that is asked for or recorded, as: kind, name, value; `!reason` where there is none.
hardware_running() {
    held=no
    [ "$command" = rollback ] || ! irqbalance || held=yes
    cat "$WORK/wishes" "$WORK/record" | awk -F '\t' '$1 ~ /^(sysfs|irq|ring)$/ && !seen[$1, $2]++ { print $1 "\t" $2 }' |
        while IFS="$TAB" read -r kind name; do
            case $kind in
                sysfs)
                    value=$(line_of "$ROOT/sys/$name")
                    [ -n "$value" ] || { [ -e "$ROOT/sys/$name" ] && value="!it cannot be read"; } || value="!this kernel or card has no /sys/$name"
                    ;;
                irq)
                    folder=$(irq_folder "$name")
                    value="!there is no interrupt of that name"
                    if [ $held = yes ]; then value="!irqbalance runs"; elif [ -n "$folder" ]; then value=$(line_of "$folder/smp_affinity_list"); fi
                    ;;
                ring)
                    value=$(rings "$name")
                    case $value in '!'*) ;; *) value=${value%" ${value#* * }"} ;; esac
                    ;;
            esac
            printf '%s\t%s\t%s\n' "$kind" "$name" "$value"
        done | awk -F '\t' "$MASKS"'BEGIN { OFS = "\t" } $2 ~ /_cpus$/ && $3 !~ /^!/ { $3 = canonical($3) } { print }'
}
irq_folder() {
    for folder in "$ROOT"/proc/irq/*/"$1"/; do
        [ ! -d "$folder" ] || { folder=${folder%/}; echo "${folder%/*}"; return; }
    done
}

put_sysfs() {
    [ -e "$ROOT/sys/$1" ] || { echo "this kernel or card has no /sys/$1"; return 1; }
    # A mask is written as wide as the kernel shows it.
    into "$ROOT/sys/$1" "$(awk -v value="$2" -v name="$1" -v shown="$(line_of "$ROOT/sys/$1")" "$MASKS"'BEGIN {
        if (name ~ /_cpus$/) {
            gsub(/,/, "", value); gsub(/,/, "", shown)
            while (length(value) < length(shown)) value = "0" value
            value = grouped(value)
        }
        print value
    }')"
}
put_irq() {
    folder=$(irq_folder "$1")
    [ -n "$folder" ] || { echo "there is no interrupt of that name"; return 1; }
    into "$folder/smp_affinity_list" "$2"
}
# Both rings in one call, because most drivers take the card's queues down and up again for it: packets are lost for
# a moment and some drivers renew the link. The driver alone decides that; here it is only kept from happening twice,
# and a card that has its sizes already is not touched. Before the interrupts, which some drivers place anew with it.
put_ring() {
    sizes=""
    [ "${2% *}" = - ] || sizes="rx ${2% *}"
    [ "${2#* }" = - ] || sizes="$sizes tx ${2#* }"
    # shellcheck disable=SC2086 # words
    ethtool -G "$1" $sizes
}

# --- what is asked, as knobs of this machine ------------------------------------------------------------------------

# One word for each topic, for all stacks on this host: spread is more than off, performance than other governors.
asked() {
    for table in "$STACKS"/*/limits.tsv; do [ ! -f "$table" ] || cat "$table"; done | awk -F '\t' '
        $1 == "hardware" && (!($2 in word) || $4 == "spread" || $4 == "performance" || $4 + 0 > word[$2] + 0) { word[$2] = $4 }
        END { for (topic in word) print topic "\t" word[topic] }' | sort
}

# Knobs go to `hardware` in the form of limits.tsv, with topic and place last; what stands in the way to `obstacles`.
hardware_wishes() {
    : >"$WORK/hardware"
    : >"$WORK/obstacles"
    asked >"$WORK/asked"
    [ -s "$WORK/asked" ] || return 0
    ports >"$WORK/ports"
    while IFS="$TAB" read -r topic word <&3; do
        if [ "$topic" = governor ]; then
            governors "$word"
            continue
        fi
        [ -s "$WORK/ports" ] || obstacle "$topic" "no card carries a default route" "give the host a default route, then run this again"
        while IFS= read -r card <&4; do "want_$topic" "$card" "$word"; done 4<"$WORK/ports"
    done 3<"$WORK/asked"
    cat "$WORK/hardware"
}
wanted() { printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$@" >>"$WORK/hardware"; }
obstacle() { printf '%s\t%s\t%s\n' "$@" >>"$WORK/obstacles"; }

governors() {
    for file in "$ROOT"/sys/devices/system/cpu/cpufreq/policy*/scaling_governor; do
        if [ ! -e "$file" ]; then
            obstacle governor "there is no cpufreq on this machine: its firmware or its host sets the clock" "take host.governor out of stack.yaml"
            return
        fi
        known=$(line_of "${file%/*}/scaling_available_governors")
        case " $known " in
            *" $1 "*) wanted sysfs "${file#"$ROOT"/sys/}" equal "$1" governor cpu ;;
            *) obstacle governor "the kernel has no governor $1 for ${file#"$ROOT"/sys/devices/system/cpu/cpufreq/}; it lists: $known" "ask for one of these in host.governor" ;;
        esac
    done
}
want_rps() {
    mask=0
    [ "$2" = off ] || mask=$(awk -v all="$(online)" "$MASKS"'BEGIN { n = members(all, c); print mask_of(c, n, 1, 1) }')
    each_queue rps "$1" rps_cpus equal "$mask"
}
want_rfs() {
    # The entries are shared out; the kernel rounds up to a power of two.
    share=$(awk -v entries="$2" -v n="$(queues "$1" rx)" 'BEGIN { if (n < 1) n = 1; for (p = 1; p * n < entries; p *= 2); print p }')
    each_queue rfs "$1" rps_flow_cnt at-least "$share"
}
each_queue() {
    count=$(queues "$2" rx) at=0
    while [ "$at" -lt "$count" ]; do
        wanted sysfs "class/net/$2/queues/rx-$at/$3" "$4" "$5" "$1" "$2"
        at=$((at + 1))
    done
    [ "$count" -gt 0 ] || obstacle "$1" "$2 shows no receive queue" "look at /sys/class/net/$2/queues"
}
want_xps() {
    if [ "$(queues "$1" tx)" -lt 2 ]; then
        obstacle xps "$1 has one transmit queue only, so there is nothing to spread" "take host.xps out of stack.yaml"
        return
    fi
    awk -v all="$(online)" -v card="$1" -v queues="$(queues "$1" tx)" "$MASKS"'BEGIN {
        OFS = "\t"
        n = members(all, c)
        for (q = 0; q < queues; q++) print "sysfs", "class/net/" card "/queues/tx-" q "/xps_cpus", "equal", mask_of(c, n, q % n + 1, queues < n ? queues : n), "xps", card
    }' >>"$WORK/hardware"
}
want_rings() {
    sizes=$(rings "$1")
    case $sizes in
        '!ethtool'*)
            obstacle rings "${sizes#!}" "install ethtool, then run apply again"
            wanted ring "$1" equal max rings "$1"
            ;;
        '!'*) obstacle rings "$1: ${sizes#!}" "take host.rings out of stack.yaml: this card has no rings to set" ;;
        *) wanted ring "$1" equal "${sizes#* * }" rings "$1" ;;
    esac
}
want_irq() {
    if irqbalance; then
        # Still knobs, so that what is recorded of them stays; read as held, they are not set.
        obstacle irq "irqbalance runs and places interrupts itself; they are left to it" "take host.irq out of stack.yaml, or stop it (systemctl disable --now irqbalance) and run apply again"
    fi
    interrupts "$1" >"$WORK/interrupts"
    [ -s "$WORK/interrupts" ] || obstacle irq "$1 has no interrupts of its own here" "take host.irq out of stack.yaml"
    # A queue's number is the last one in the name: receive and transmit of one queue meet on one CPU.
    awk -F '\t' -v all="$(near "$1")" -v card="$1" "$MASKS"'
        BEGIN { OFS = "\t"; n = members(all, c) }
        {
            name = $2; sub(/@.*/, "", name)
            queue = NR - 1
            if (match(name, /[0-9]+[^0-9]*$/)) queue = substr(name, RSTART) + 0
            print "irq", $2, "equal", c[queue % n + 1], "irq", card
        }' "$WORK/interrupts" >>"$WORK/hardware"
}

# --- hardware at boot, and what is found of it ----------------------------------------------------------------------

# What gives each knob its value at boot, as: topic, rules or unit, line. udev sets what a card has from its first
# moment, rings before it carries anything. Many drivers ask for their interrupts, and place transmit queues and
# further receive queues, only when the card comes up: a unit sets those again once the network is up, and the
# governor, whose driver may be loaded late. Interrupts are found by name, for numbers change.
hardware_boot() {
    awk -F '\t' -v ethtool="$(command -v ethtool || :)" '
        BEGIN { OFS = "\t"; q = "\047" }
        FILENAME ~ /\/targets$/ { value[$1 "\t" $2] = $3; next }
        FILENAME ~ /\/obstacles$/ { held[$1] = 1; next }
        { v = value[$1 "\t" $2]; event = "ACTION==\"add|move\", SUBSYSTEM==\"net\", KERNEL==\"" $6 "\", " }
        $1 == "sysfs" {
            print $5, "unit", "ExecStart=-/bin/sh -c " q "echo " v " >/sys/" $2 q
            if (sub("^class/net/" $6 "/", "", $2)) print $5, "rules", event "ATTR{" $2 "}=\"" v "\""
        }
        $1 == "irq" && !($5 in held) { print $5, "unit", "ExecStart=-/bin/sh -c " q "for at in /proc/irq/*/" $2 "; do echo " v " >\"$${at%%/*}/smp_affinity_list\"; done" q }
        $1 == "ring" && v ~ /[0-9]/ {
            split(v, size, " ")
            print $5, "rules", event "RUN+=\"" ethtool " -G " $6 (size[1] == "-" ? "" : " rx " size[1]) (size[2] == "-" ? "" : " tx " size[2]) "\""
        }' "$WORK/targets" "$WORK/obstacles" "$WORK/hardware"
}
boot_file() {
    case $1 in
        rules) echo "/etc/udev/rules.d/99-zz-stackctl-$2.rules" ;;
        # No stack's name has a dot, so no stack's own unit has this name.
        unit) echo "/etc/systemd/system/stackctl-$2.hardware.service" ;;
    esac
}

# The files of every stack that asks for hardware, each with the lines it asks for.
hardware_files() {
    [ -s "$WORK/hardware" ] || return 0
    hardware_boot >"$WORK/boot-lines"
    for table in "$STACKS"/*/limits.tsv; do
        [ -f "$table" ] || continue
        stack=${table%/limits.tsv} stack=${stack##*/}
        for part in rules unit; do
            awk -F '\t' -v part=$part '$1 == "hardware" { asks[$2] = 1; next } $2 == part && ($1 in asks) { print $3 }' \
                "$table" "$WORK/boot-lines" >"$WORK/part"
            [ -s "$WORK/part" ] || continue
            file=$WORK/new$(boot_file $part "$stack")
            mkdir -p "${file%/*}"
            { "${part}_head" "$stack"; cat "$WORK/part"; } >"$file"
            [ $part = unit ] || continue
            mkdir -p "$WORK/new/etc/systemd/system/multi-user.target.d"
            # A file, where `systemctl enable` would make a symlink: it is recorded and undone like all others.
            printf '%s\n[Unit]\nWants=stackctl-%s.hardware.service\n' "$WRITTEN" "$stack" \
                >"$WORK/new/etc/systemd/system/multi-user.target.d/99-zz-stackctl-$stack.conf"
        done
    done
}
WRITTEN="# Written by stackctl's prepare.sh apply from \`host:\` of stack.yaml; rollback takes it away."
rules_head() { printf '%s\n' "$WRITTEN"; }
unit_head() {
    printf '%s\n' "$WRITTEN" "[Unit]" "Description=Cards and processors as stack $1 asks" \
        "Wants=network-online.target" "After=network-online.target" "Before=stackctl-$1.service" "" "[Service]" "Type=oneshot"
}

# One finding for each thing this stack asks of the hardware.
# shellcheck disable=SC2016 # $ in awk
hardware_findings() {
    grep -q "^hardware$TAB" "$TABLE" || return 0
    decide
    hardware_boot >"$WORK/boot-lines"
    while IFS="$TAB" read -r topic part text; do
        file=$(boot_file "$part" "$NAME")
        grep -qsxF -e "$text" "$ROOT$file" || printf '%s\t%s does not set it at boot\n' "$topic" "$file"
        if [ "$part" = unit ] && [ "$topic" != rps ] && [ "$topic" != rfs ] && ! systemd; then
            printf '%s\tno systemd on this host runs %s at boot\n' "$topic" "$file"
        fi
    done <"$WORK/boot-lines" >"$WORK/lost"
    awk -F '\t' -v command="$command" "$VALUES"'
        function out(verdict, got, depth, evidence, remedy) { print verdict, "host." $2, $4, got == "" ? "-" : got, depth, evidence, remedy == "" ? "-" : remedy }
        function plural(n) { return n == 1 ? " is" : " are" }
        BEGIN { OFS = "\t"; apply = "on this host: sh host/prepare.sh apply" }
        FILENAME ~ /\/trouble$/ { why[$1 "\t" $2] = $3; next }
        FILENAME ~ /\/running$/ { now[$1 "\t" $2] = $3 ~ /^!/ ? $3 : norm($3); next }
        FILENAME ~ /\/asked$/ { asked[$1] = $2; next }
        FILENAME ~ /\/obstacles$/ { if (!($1 in stands)) { stands[$1] = $2; way[$1] = $3 } next }
        FILENAME ~ /\/lost$/ { lost[$1] = $2; next }
        FILENAME ~ /\/hardware$/ {
            id = $1 "\t" $2; all[$5]++
            if (index(on[$5] " ", " " $6 " ") == 0) on[$5] = on[$5] " " $6
            if (holds($3, now[id], $4)) held[$5]++
            else if (!($5 in bad)) { bad[$5] = now[id]; which[$5] = $2 " " (now[id] ~ /^!/ ? "cannot be set: " substr(now[id], 2) : "is " now[id] ", not " $4); reason[$5] = why[id] }
            next
        }
        $1 == "hardware" {
            t = $2
            seen = held[t] + 0 " of " all[t] + 0 plural(all[t]) " so on" on[t]
            if (asked[t] != $4 && !(t == "rfs" && asked[t] + 0 > $4 + 0)) out("short", "", "applied", "another stack on this host asks for " asked[t] ", which wins", "ask for the same in both stack.yaml files")
            else if (t in stands) out("short", "", "applied", stands[t] (all[t] && held[t] ? "; " seen : ""), way[t])
            else if (held[t] < all[t]) out("short", bad[t] ~ /^!/ ? "" : bad[t], "applied", seen "; " which[t] (reason[t] != "" ? ": " reason[t] : ""), reason[t] != "" ? "read the reason; if it stays, take host." t " out of stack.yaml" : command == "apply" ? "look for what sets it back (tuned, irqbalance, the driver), or take host." t " out of stack.yaml" : apply)
            else if (t in lost) out("short", $4, "declared", seen " now, but " lost[t], lost[t] ~ /^no systemd/ ? "run prepare.sh apply at every boot, after the network is up" : apply)
            else out("ok", $4, "applied", seen "; at boot too", "")
        }' "$WORK/trouble" "$WORK/running" "$WORK/asked" "$WORK/obstacles" "$WORK/lost" "$WORK/hardware" "$TABLE"
}

# --- hardware: figures, and advice where the figures call for it ----------------------------------------------------

# figure TOPIC FIGURES ADVICE: advice may be empty.
figure() { printf '%s\t%s\t%s\n' "$1" "$2" "$3"; }

hardware_advice() {
    ports >"$WORK/ports"
    processors=$(online | awk -F , '{ print NF }')
    {
        while IFS= read -r card; do card_figures "$card"; done <"$WORK/ports"
        governor_figures
        softnet_figures
    } >"$WORK/figures"
    # With nothing to advise one line says so; else each figure has its line, and its advice where there is one.
    awk -F '\t' -v porcelain=$porcelain -v cards="$(tr '\n' ' ' <"$WORK/ports")" -v cpus="$processors" '
        function line(topic, text) { if (porcelain == "yes") print "advice\t" topic "\t" text; else print "hardware " topic ": " text }
        { topic[NR] = $1; text[NR] = $2; advice[NR] = $3; some += $3 != "" }
        $1 ~ / queues$/ { brief = brief "; " $1 ": " $2 }
        $1 == "softnet" { brief = brief "; " $2 }
        END {
            if (!some) line("all", "nothing to advise for " (cards == "" ? "no card with a default route, " : cards "and ") cpus " CPU" (cpus == 1 ? "" : "s") brief)
            else for (i = 1; i <= NR; i++) line(topic[i], text[i] (advice[i] != "" ? ". " advice[i] : ""))
        }' "$WORK/figures"
}

card_figures() {
    net=$ROOT/sys/class/net/$1
    rx=$(queues "$1" rx) tx=$(queues "$1" tx)
    driver=$(readlink "$net/device/driver" 2>/dev/null || :)
    speed=$(line_of "$net/speed")
    case $speed in '' | -*) speed="speed not known" ;; *) speed="$speed Mb/s" ;; esac
    if [ -n "$driver" ]; then driver="driver ${driver##*/}"; else driver="no driver of its own"; fi
    figure "$1" "$driver, $speed" ""
    steering_figures "$1"
    ring_figures "$1"
    interrupt_figures "$1"
}
# Several values of one kind of file, each named once.
distinct() { cat "$@" 2>/dev/null | sort -u | tr '\n' ' ' | sed 's/ $//'; }

# Queues, and what shares their work out.
steering_figures() {
    most=$(channels "$1")
    rps=$(cat "$net"/queues/rx-*/rps_cpus 2>/dev/null | awk "$MASKS"'{ print canonical($0) }' | distinct)
    flows=$(distinct "$net"/queues/rx-*/rps_flow_cnt)
    xps=$(cat "$net"/queues/tx-*/xps_cpus 2>/dev/null | awk "$MASKS"'{ print canonical($0) }' | distinct)
    entries=$(line_of "$ROOT/proc/sys/net/core/rps_sock_flow_entries")
    text=""
    if [ "$rx" -lt "$processors" ] && [ "$rps" = 0 ]; then
        few="$processors CPUs but $rx receive queue$([ "$rx" -eq 1 ] || echo s): "
        few="$few$([ "$rx" -eq 1 ] && echo "one CPU takes" || echo "$rx CPUs take") every packet"
        case $most in
            *[!0-9]*) more=0 ;;
            *) more=$((most < processors ? most : processors)) ;;
        esac
        if [ "$more" -gt "$rx" ]; then
            text="$few; the card can have $most: \`ethtool -L $1 combined $more\` (the link may drop for a moment), or \`host: {rps: spread}\` shares them"
        else
            text="$few; \`host: {rps: spread}\` shares them"
        fi
    fi
    figure "$1 queues" "$rx receive and $tx transmit for $processors CPUs, at most $most" "$text"
    text=""
    if [ -n "$rps" ] && [ "$rps" != 0 ] && [ "${entries:-0}" = 0 ]; then
        text="RPS picks CPUs with no regard to where a packet is read, for 0 flows are remembered; \`host: {rfs: 32768}\` sends it there"
    fi
    figure "$1 steering" "RPS CPUs ${rps:-not in this kernel}, RFS ${entries:-0} flows and ${flows:-0} a queue, XPS CPUs ${xps:-none: one queue}" "$text"
}
# The most queues a card can have, in words where it does not say.
channels() {
    if ! have ethtool; then echo "unknown (ethtool is not installed)"; return; fi
    ethtool -l "$1" 2>/dev/null | awk '
        /^Current/ { exit }
        /^(Combined|RX):/ && $2 + 0 > most { most = $2 + 0 }
        END { print most ? most : "unknown (the driver does not say)" }'
}

ring_figures() {
    sizes=$(rings "$1")
    case $sizes in '!'*) figure "$1 rings" "${sizes#!}" ""; return ;; esac
    missed=$(cat "$net"/statistics/rx_missed_errors "$net"/statistics/rx_fifo_errors 2>/dev/null | awk '{ n += $1 } END { printf "%.0f", n }')
    figure "$1 rings" "$(printf %s "$sizes" | awk -v missed="$missed" '{ print "receive " $1 " of " $3 ", transmit " $2 " of " $4 " descriptors, " missed " packets missed" }')" \
        "$(printf %s "$sizes" | awk -v missed="$missed" 'missed > 0 && $1 + 0 < $3 + 0 { print missed " packets found " $1 " descriptors full, and the card has " $3 "; `host: {rings: max}` uses them" }')"
}

# Which CPUs a card's queues interrupt, how evenly, and whether these are near the card.
interrupt_figures() {
    interrupts "$1" >"$WORK/interrupts"
    count=$(wc -l <"$WORK/interrupts" | tr -d ' ')
    if irqbalance; then balance=runs; else balance="does not run"; fi
    node=$(node_of "$1")
    nodes=$(find "$ROOT/sys/devices/system/node" -maxdepth 1 -name 'node[0-9]*' 2>/dev/null | wc -l | tr -d ' ')
    # Where the kernel does not tell the one CPU it chose, all that are allowed.
    while IFS="$TAB" read -r number _; do
        at=$(line_of "$ROOT/proc/irq/$number/effective_affinity_list")
        [ -n "$at" ] || at=$(line_of "$ROOT/proc/irq/$number/smp_affinity_list")
        printf '%s\n' "$at"
    done <"$WORK/interrupts" >"$WORK/places"
    awk -v card="$1" -v count="$count" -v cpus="$processors" -v balance="$balance" -v node="$node" -v nodes="$nodes" -v near="$(near "$1")" "$MASKS"'
        FILENAME ~ /\/interrupts$/ && FILENAME !~ /proc\/interrupts$/ { ours[$1 ":"] = 1; next }
        FILENAME ~ /\/places$/ { n = members($0, c); for (i = 1; i <= n; i++) used[c[i]] = 1; next }
        FNR == 1 { for (i = 1; i <= NF; i++) cpu[i] = substr($i, 4); columns = NF; next }
        $1 in ours { for (i = 1; i <= columns; i++) { taken[cpu[i]] += $(i + 1); all += $(i + 1) } }
        END {
            m = members(near, c); for (i = 1; i <= m; i++) close_by[c[i]] = 1
            for (i = 0; i < 4096; i++) if (i in used) { list = list (n_used++ ? "," : "") i; if (!(i in close_by)) far = far (far == "" ? "" : ",") i }
            for (i in taken) if (best == "" || taken[i] > taken[best]) best = i
            text = count " of its queues on CPU" (n_used == 1 ? " " : "s ") (list == "" ? "unknown" : list)
            if (all) text = text sprintf(", CPU %s took %.0f %% of %.0f", best, 100 * taken[best] / all, all)
            text = text ", irqbalance " balance ", NUMA node " (node < 0 ? "not told" : node " with CPUs " near) " of " (nodes ? nodes : 1)
            if (!count) text = "none of its own, irqbalance " balance
            if (count > 1 && n_used == 1 && cpus > 1 && balance != "runs") advice = count " interrupts all go to CPU " list " of " cpus "; `host: {irq: spread}` gives each a CPU of its own"
            else if (count && far != "" && nodes > 1 && balance != "runs") advice = "CPU" (far ~ /,/ ? "s " : " ") far " not on the card\047s node " node " take its interrupts; `host: {irq: spread}` keeps them on CPUs " near
            print card " interrupts\t" text "\t" advice
        }' "$WORK/interrupts" "$WORK/places" "$ROOT/proc/interrupts" 2>/dev/null || :
}

governor_figures() {
    for file in "$ROOT"/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor; do
        [ ! -e "$file" ] || printf '%s %s\n' "$(line_of "$file")" "$(line_of "${file%/*}/scaling_driver")"
    done | awk '
        { count[$1]++; cpus++
          # These two drivers raise the clock under their powersave too.
          if ($1 ~ /^(powersave|conservative|ondemand|userspace)$/ && $2 !~ /^(intel_pstate|amd-pstate-epp|amd_pstate_epp)$/) { slow++; word = $1 } }
        END {
            if (!cpus) { print "governor\tno cpufreq on this machine\t"; exit }
            for (g in count) text = text (text == "" ? "" : ", ") count[g] " CPU" (count[g] == 1 ? "" : "s") " on " g
            print "governor\t" text "\t" (slow ? slow " of " cpus " CPUs on " word " wait for their clock to rise at each burst; `host: {governor: performance}` keeps it up" : "")
        }'
}

# Packets the kernel took from cards, by CPU: dropped for a full backlog, and rounds that ran out of budget.
softnet_figures() {
    steered=no
    while IFS= read -r card; do
        case $(cat "$ROOT/sys/class/net/$card"/queues/rx-*/rps_cpus 2>/dev/null | tr -d '0,\n') in '') ;; *) steered=yes ;; esac
    done <"$WORK/ports"
    awk -v steered=$steered -v cpus="$processors" '
        function value(hex,   i, v) { for (i = 1; i <= length(hex); i++) v = v * 16 + index("0123456789abcdef", substr(hex, i, 1)) - 1; return v }
        {
            packets = value($1); all += packets; dropped += value($2); squeezed += value($3)
            cpu = NF >= 13 ? value($13) : NR - 1
            if (NR == 1 || packets > most) { most = packets; busiest = cpu }
        }
        END {
            if (!NR) exit
            text = sprintf("%.0f packets, %.0f dropped, %.0f rounds out of budget (time_squeeze)", all, dropped, squeezed)
            if (all) text = text sprintf(", CPU %d took %.0f %% of them", busiest, 100 * most / all)
            if (dropped) advice = sprintf("%.0f packets found the backlog of their CPU full: net.core.netdev_max_backlog was too small, or one CPU too busy", dropped)
            # A quiet host says nothing of balance.
            if (cpus > 1 && all >= 100000 && most / all > 2 / cpus && most / all > 0.75 && steered == "no") advice = advice (advice == "" ? "" : ". ") sprintf("CPU %d of %d took %.0f %% of the packets; `host: {rps: spread}` shares them", busiest, cpus, 100 * most / all)
            if (squeezed > all / 1000 && squeezed > 100) advice = advice (advice == "" ? "" : ". ") sprintf("%.0f rounds ended with packets left: raise net.core.netdev_budget", squeezed)
            print "softnet\t" text "\t" advice
        }' "$ROOT/proc/net/softnet_stat" 2>/dev/null || :
}

# --- what was found, one line for each limit this stack asks of its host ---------------------------------------------

# Verdict, limit, wanted, got, depth, evidence, remedy; `-` where there is none.
# shellcheck disable=SC2016 # $ in awk
findings() {
    fresh >"$WORK/fresh"
    boot_modules >"$WORK/boot-modules"
    logins all >"$WORK/logins"
    [ -e "$WORK/record" ] || : >"$WORK/record"
    manager=no
    ! systemd || manager=yes
    awk -F '\t' -v command="$command" -v name="$NAME" -v systemd=$manager -v cards="$(cards | tr '\n' ' ')" "$VALUES"'
        function out(verdict, key, wanted, got, depth, evidence, remedy) {
            print verdict, key, wanted, got == "" ? "-" : got, depth, evidence, remedy == "" ? "-" : remedy
        }
        function because(kind, id) { return (kind "\t" id) in why ? why[kind "\t" id] : "" }
        function untouched(kind, id) { return !((kind "\t" id) in before) || before[kind "\t" id] == set_to[kind "\t" id] }
        BEGIN { OFS = "\t"; ours = "/etc/sysctl.d/99-zz-stackctl-" name ".conf"; apply = "on this host: `sh host/prepare.sh apply` in the rendered folder, or `stackctl host apply`" }
        FILENAME ~ /\/record$/ { before[$1 "\t" $2] = norm($3); set_to[$1 "\t" $2] = norm($4); next }
        FILENAME ~ /\/running$/ { now[$1 "\t" $2] = $3 ~ /^!/ ? $3 : norm($3); next }
        FILENAME ~ /\/boot$/ { boot[$1] = $2; from[$1] = $3; next }
        FILENAME ~ /\/fresh$/ { fresh[$1] = norm($2); next }
        FILENAME ~ /\/boot-modules$/ { early[$1] = 1; next }
        FILENAME ~ /\/logins$/ { login[$1] = norm($2); decides[$1] = $3; next }
        FILENAME ~ /\/trouble$/ { why[$1 "\t" $2] = $3; next }
        $1 == "sysctl" { sysctl($2, $3, norm($4), $5) }
        $1 == "login" { logins($2, $3, norm($4), $6) }
        $1 == "unit" { unit($2, $3, norm($4), $6) }

        function sysctl(key, compare, wanted, module,   cur, seen, n, c, i, bad) {
            cur = now["sysctl\t" key]
            seen = "running " (cur ~ /^!/ ? "unreadable" : cur)
            if (because("module", module) != "") { out("short", key, wanted, cur ~ /^!/ ? "" : cur, "applied", "module " module ": " because("module", module), "run a kernel that has " module ", or take limits." key " out of the stack by giving it the value this host has"); return }
            if (cur == "" || cur ~ /^!/) { out("short", key, wanted, "", "applied", substr(cur, 2) (module != "-" ? "; its module " module " is not loaded" : ""), apply); return }
            if (because("sysctl", key) != "") { out("short", key, wanted, cur, "applied", because("sysctl", key), "read the reason; where the kernel has a lower ceiling, set limits." key " to what it takes"); return }
            if (!holds(compare, cur, wanted)) { out("short", key, wanted, cur, "applied", seen "; at boot " at_boot(key), command == "apply" ? other_wish(key) : apply); return }
            if (key == "net.core.default_qdisc") {
                n = split(cards, c, " ")
                for (i = 1; i <= n; i++) if (now["qdisc\t" c[i]] != wanted) {
                    bad = because("qdisc", c[i])
                    out("short", key, wanted, cur, "effective", "card " c[i] " has " now["qdisc\t" c[i]] (bad != "" ? ": " bad : ", put there before the default was set"), bad != "" ? "tc qdisc replace dev " c[i] " root " wanted : apply); return
                }
                if (n) seen = seen ", and on " cards
            }
            if (!(key in boot)) {
                if (key in fresh && holds(compare, fresh[key], wanted)) out(kept(compare, key, cur, wanted), key, wanted, cur, "applied", seen "; no file sets it at boot, and a new network namespace has " fresh[key] ": the kernel itself gives it", "")
                else out("short", key, wanted, cur, "declared", seen " holds now, but no file sets it at boot", apply)
                return
            }
            if (!holds(compare, boot[key], wanted)) {
                out("short", key, wanted, cur, "declared", seen " holds now, but at boot " at_boot(key), from[key] != ours && (("file\t" ours) in before) ? "take " key " out of " from[key] ", which overrides " ours : apply); return
            }
            if (module != "-" && !(module in early)) { out("short", key, wanted, cur, "declared", seen " holds now, but its module " module " is not loaded at boot before sysctl.d is applied", apply); return }
            out(kept(compare, key, cur, wanted), key, wanted, cur, "applied", seen "; at boot " at_boot(key), "")
        }
        function kept(compare, key, cur, wanted) { return command == "apply" && compare != "equal" && cur != wanted && untouched("sysctl", key) ? "kept" : "ok" }
        function at_boot(key) { return key in boot ? boot[key] " from " from[key] : "whatever the kernel gives: no file sets it" }
        function other_wish(key) { return "another stack on this host wants another value, or something set it back: look for " key " in the other limits.tsv and in what runs here" }

        function logins(key, compare, wanted, item,   all, root, low, got) {
            all = login[item "/*"]; root = login[item "/root"]
            low = item (holds(compare, all, wanted) && (!holds(compare, root, wanted) || holds(compare, all, root)) ? "/root" : "/*")
            got = login[low]
            if (all == "" || root == "") out("short", key, wanted, "", "declared", "no file of /etc/security sets soft and hard " item " for both * and root", apply)
            else if (!holds(compare, got, wanted)) out("short", key, wanted, got, "declared", "decided by " decides[low], decides[low] ~ /stackctl/ ? apply : "take " item " out of " decides[low] " if apply does not win over it")
            else out(command == "apply" && got != wanted ? "kept" : "ok", key, wanted, got, "declared", "decided by " decides[low], "")
        }

        function unit(key, compare, wanted, extra,   w, n, i, u, p, id, live, atboot, seen, got, problem, found, same) {
            n = split("docker.service containerd.service " extra, w, " ")
            p = w[3]
            same = 1
            for (i = 1; i <= n; i++) {
                if (i == 3 || i > 3 && (w[i] == w[1] || w[i] == w[2])) continue
                u = w[i]; id = u "/" p
                live = p == "TasksMax" ? now["tasks\t" id] : now["limit\t" id]
                sub(/^[^ ]* /, "", live)
                atboot = now["unit\t" id]
                if (live == "" && atboot == "") { if (u ~ /^telemt/) seen = seen "; " u " is not on this host, its drop-in waits for it"; continue }
                found += u !~ /^telemt/
                seen = seen "; " u (live != "" ? " live " live : " does not run") (atboot != "" ? ", at its next start " atboot : "")
                if (live != "" && (got == "" || !ge(live, got))) got = live
                if (live != "" && !holds(compare, live, wanted)) problem = problem "; " u (because("limit", id) != "" ? ": " because("limit", id) : " runs with " live)
                else if (atboot != "" && !holds(compare, atboot, wanted)) problem = problem "; " u " gets " atboot " at its next start"
                if (!untouched("limit", id) || ("unit\t" id in before && before["unit\t" id] != atboot)) same = 0
            }
            sub(/^; /, "", seen); sub(/^; /, "", problem)
            if (!found) out("short", key, wanted, "", "applied", "no Docker engine on this host" (seen != "" ? "; " seen : ""), "install it, then run apply again")
            else if (systemd == "no") out("short", key, wanted, got, "applied", "no systemd on this host: what starts dockerd gives it its limits; " seen, "give dockerd " p "=" wanted " where it is started")
            else if (problem != "") out("short", key, wanted, got, "applied", problem " (" seen ")", command == "apply" ? "systemctl cat docker.service containerd.service: a later drop-in may override; then restart the unit" : apply)
            else out(command == "apply" && same && got != wanted ? "kept" : "ok", key, wanted, got, "applied", seen, "")
        }' "$WORK/record" "$WORK/running" "$WORK/boot" "$WORK/fresh" "$WORK/boot-modules" "$WORK/logins" "$WORK/trouble" "$TABLE"
    hardware_findings
}

# What rollback could not put back.
left_findings() {
    awk -F '\t' 'BEGIN { OFS = "\t" } { print "short", $2, "-", "-", "applied", "left as it is: " $3, $1 == "module" ? "reboot, or run rollback again once nothing uses it" : "set it by hand if you want another value" }' "$WORK/left"
}

# How full the table of tracked connections is: a full one drops every new client.
conntrack_fill() {
    awk -v root="$ROOT/proc/sys/net/netfilter/" -v porcelain=$porcelain 'BEGIN {
        if ((getline count < (root "nf_conntrack_count")) <= 0 || (getline most < (root "nf_conntrack_max")) <= 0 || most + 0 == 0) exit
        share = int(count * 100 / most)
        text = count " of " most " entries (" share " %)"
        if (share >= 80) text = text ": nearly full, and a full table drops new clients; raise limits.net.netfilter.nf_conntrack_max, or shorten its timeouts"
        print (porcelain == "yes" ? "advice\tconntrack\t" : "conntrack: ") text
    }'
}

# Shows $WORK/findings; fails if any is not as wanted. Not read from a pipe: there a writer that dies goes unseen.
show() {
    if [ $porcelain = yes ]; then
        sed "s/^/finding$TAB/" "$WORK/findings"
    else
        # A remedy that many lines share is said once, below them.
        awk -F '\t' '{
            printf "%-6s %-52s %s%s\n", $1, $2, $4, ($4 == $3 || $3 == "-" ? "" : "  (wanted " $3 ")")
            if ($1 != "ok" && $1 != "kept") { print "         seen: " $6; if ($7 ~ /stackctl host apply/) shared = $7; else if ($7 != "-") print "         do:   " $7 }
            n[$1]++
        }
        END { if (shared != "") print "do: " shared; line = ""; for (v in n) line = line (line == "" ? "" : ", ") n[v] " " v; if (line != "") print line }' "$WORK/findings"
    fi
    ! grep -q "^short$TAB" "$WORK/findings"
}

finish() {
    [ $porcelain = no ] || printf 'end\t%s\n' "$1"
    explained
    exit "$1"
}

# --- the three commands ---------------------------------------------------------------------------------------------

check() {
    mkdir -p "$STACKS/$NAME"
    cp "$TABLE" "$STACKS/$NAME/limits.tsv"
    gather
    hardware_advice
    conntrack_fill
    findings >"$WORK/findings"
    if show; then finish 0; else finish 1; fi
}

apply() {
    sound_record
    [ $dry = yes ] || { mkdir -p "$STACKS"; recover; [ -d "$BEFORE" ] || mkdir -p "$BEFORE"; }
    if [ $dry = yes ]; then rm -rf "${STACKS:?}/$NAME"; mkdir "$STACKS/$NAME"; cp -R "$TABLE" "$HERE/etc" "$STACKS/$NAME/"; else adopt; fi
    # Modules first: they bring keys, which have to be read before anything is decided about them.
    for key in $(unrecorded); do say "the record of $key is gone: what it is now counts as what was there before"; done
    gather
    decide
    grep "^[a-z]*${TAB}module$TAB" "$WORK/actions" >"$WORK/modules" || :
    mv "$WORK/modules" "$WORK/actions"
    if [ -s "$WORK/actions" ]; then
        record_actions
        act
        gather
    fi
    decide
    grep -v "^[a-z]*${TAB}module$TAB" "$WORK/actions" >"$WORK/rest" || :
    mv "$WORK/rest" "$WORK/actions"
    compose_files
    record_actions
    put_files
    reload_systemd
    act
    enable_units
    recorded | cut -f 1,2 >"$WORK/recorded"
    [ $dry = yes ] || cmp -s "$WORK/recorded" "$STACKS/$NAME/recorded" || whole "$STACKS/$NAME/recorded" <"$WORK/recorded"
    if [ ! -s "$WORK/changes" ]; then say "nothing to change"; fi
    [ $dry = no ] || finish 0
    [ ! -s "$WORK/changes" ] || gather
    hardware_advice
    conntrack_fill
    findings >"$WORK/findings"
    if show; then finish 0; else finish 1; fi
}

rollback() {
    if [ ! -d "$STATE/stacks" ] && [ ! -d "$BEFORE" ]; then
        for file in "$ROOT"/etc/sysctl.d/99-zz-stackctl-*.conf "$ROOT"/etc/modules-load.d/stackctl-*.conf; do
            # With the record's folder there, a kill cut off an apply that had done nothing yet, or a rollback at its end.
            [ ! -e "$file" ] || [ -d "${STATE%/*}" ] || die "there is no record on this host of what was there before, but $file is" "delete the files named *stackctl* below /etc by hand, then reboot"
        done
        say "nothing is recorded on this host: there is nothing to put back"
        [ $dry = yes ] || sweep
        finish 0
    fi
    sound_record
    [ $dry = yes ] || recover
    # They stay as they are, and are named.
    for key in $(unrecorded); do left sysctl "$key" "its record is gone, so what it was before is not known"; done
    retire
    rm -rf "$STACKS/.$NAME.old"
    gather
    decide
    compose_files
    record_actions
    act
    # Before its file goes: systemctl knows no unit without one.
    disable_units
    put_files
    reload_systemd
    [ $dry = yes ] || { drop_folders; sweep; }
    if [ ! -s "$WORK/changes" ] && [ ! -s "$WORK/left" ]; then say "nothing to put back"; fi
    left_findings >"$WORK/findings"
    if show; then finish 0; else finish 1; fi
}

# Keys that apply recorded and that have no record any more.
unrecorded() {
    [ -e "$STACKS/$NAME/recorded" ] || return 0
    awk -F '\t' 'FILENAME ~ /limits\.tsv$/ { wanted[$2] = 1; next } $1 == "sysctl" && wanted[$2] { print $2 }' \
        "$STACKS/$NAME/limits.tsv" "$STACKS/$NAME/recorded" | while IFS= read -r key; do
        item sysctl "$key"
        [ -e "$ITEM" ] || echo "$key"
    done
}

# With nothing left to undo the record goes too.
sweep() {
    [ -z "$(ls -A "$STACKS" 2>/dev/null)" ] || return 0
    # Items that a kill left half written keep their folders from being empty.
    rm -f "$BEFORE"/*/*.new
    rmdir "$BEFORE"/* "$BEFORE" 2>/dev/null || :
    [ ! -d "$BEFORE" ] || return 0
    rm -rf "$STATE"
    rmdir "${STATE%/*}" 2>/dev/null || :
}

"$command"
