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

# shellcheck disable=SC2016 # $ in awk
VALUES='
# Functions on values: every decision is made with these. Numbers are compared as text, so that 2^63-1 stays exact.

# Returns text: awk compares fields that look like numbers as numbers, and takes neighbours above 2^53 for equal.
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

# --- the record: one file for each thing touched, written before it is touched --------------------------------------
# Its lines: what was there, what apply set, and `end`, without which the file is damaged.

# Writes standard input as file $1, whole or not at all.
whole() {
    { cat >"$1.new" && { sync "$1.new" 2>/dev/null || sync; } && mv -f "$1.new" "$1"; } 2>"$WORK/why" || {
        rm -f "$1.new"
        die "$1 cannot be written: $(tail -n 1 "$WORK/why")" \
            "make room or make it writable, then run the same command again: it goes on where it stopped"
    }
}

# The file of a thing: / in its name becomes %. In the shell alone, because a process for each would cost seconds.
item() {
    rest=$2 ITEM=$BEFORE/$1/
    while [ "$rest" != "${rest#*/}" ]; do ITEM=$ITEM${rest%%/*}% rest=${rest#*/}; done
    ITEM=$ITEM$rest
}

# What the item says, in $first and $last.
remembered() { { read -r _ first && read -r _ last; } <"$ITEM"; }

# record KIND NAME BEFORE SET: keeps the first value from before, and replaces the last one that we set. `settled` makes
# it durable.
record() {
    item "$1" "$2"
    first=$3
    if [ -e "$ITEM" ]; then
        remembered
        [ "$last" != "$4" ] || return 0
        # A value that was noted and never set may have been changed by hand since: that is the one from before.
        [ "$first" != "$last" ] || first=$3
    fi
    { [ -d "$BEFORE/$1" ] || mkdir -p "$BEFORE/$1"; } 2>"$WORK/why" ||
        die "$BEFORE/$1 cannot be made: $(tail -n 1 "$WORK/why")" \
            "make room in /var/lib; nothing is changed without a record"
    { printf 'before %s\nset %s\nend\n' "$first" "$4" >"$ITEM.new" && mv -f "$ITEM.new" "$ITEM"; } 2>"$WORK/why" || {
        rm -f "$ITEM.new"
        die "$ITEM cannot be written: $(tail -n 1 "$WORK/why")" \
            "make room in /var/lib, then run the same command again: it goes on where it stopped"
    }
}
# Called before the first of the recorded things is touched.
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
    [ -z "$bad" ] || die "the record $bad is damaged; nothing was changed" \
        "if it cannot be repaired, delete it: its thing is then left as it is, and named"
    if [ -n "$(ls -A "$STATE/stacks" 2>/dev/null)" ] && [ ! -d "$BEFORE" ]; then
        die "the record $BEFORE is gone, so what was there before is not known; nothing was changed" \
            "to leave the preparation: delete $STATE and the files named *stackctl* below /etc, then reboot"
    fi
}

# --- what each stack on this host wants: a copy of its limits.tsv and etc/ -----------------------------------------

# A copy that was complete when its run was killed takes its place now; an incomplete one is removed.
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

# Removes this stack's wishes in one step: half of them, left by a kill, would look like another wish.
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
        for part in unit recorded; do
            [ ! -e "$STACKS/$NAME/$part" ] || cp -R "$STACKS/$NAME/$part" "$STACKS/.$NAME.new/" || exit 1
        done &&
        : >"$STACKS/.$NAME.new/complete"; } 2>"$WORK/why" ||
        die "the record in $STACKS cannot be written: $(tail -n 1 "$WORK/why"); nothing was changed" \
            "make room in /var/lib, then run apply again"
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

# --- cards and processors: hardware.sh, the second script -----------------------------------------------------------

# It is rendered only where `host:` of stack.yaml asks for it. apply keeps a copy of it in the record: with that, a
# stack that asks for nothing leaves alone what another one set, and a later render without it can still undo it.
hardware_wishes() { :; }
hardware_running() { :; }
hardware_files() { :; }
hardware_findings() { :; }
hardware_advice() { :; }

hardware_is_recorded() {
    grep -qs "^hardware$TAB" "$STATE"/stacks/*/limits.tsv || recorded | grep -Eq "^(sysfs|irq|ring)$TAB"
}

if [ -r "$HERE/hardware.sh" ]; then
    # shellcheck source=/dev/null
    . "$HERE/hardware.sh"
elif grep -q "^hardware$TAB" "$TABLE"; then
    die "$HERE/hardware.sh is missing" "copy the whole host/ folder of \`stackctl render\`"
elif [ -r "$STATE/hardware.sh" ]; then
    # shellcheck source=/dev/null
    . "$STATE/hardware.sh"
    # Only a stack that asks for hardware gets advice.
    hardware_advice() { :; }
elif [ "$command" != check ] && hardware_is_recorded; then
    # An older prepare.sh recorded them and kept no copy.
    die "cards or processors of this host are recorded, and there is no hardware.sh to put them back" \
        "give stack.yaml its \`host:\` again, render, and run $command from there"
fi

# Called before the first wish for hardware is recorded.
keep_hardware() {
    if [ -r "$HERE/hardware.sh" ] && ! cmp -s "$HERE/hardware.sh" "$STATE/hardware.sh"; then
        whole "$STATE/hardware.sh" <"$HERE/hardware.sh"
    fi
}

# --- what this host shows now ---------------------------------------------------------------------------------------

# shellcheck disable=SC2016 # $ in awk
SYSCTLS='
# Reads keys, one a line. Output: key, value; `!reason` where there is none. In awk and not with read of the shell: dash
# reads a byte at a time, and the kernel answers only the first read of a sysctl.

{
    path = $1
    gsub(/\./, "/", path)
    path = root "/proc/sys/" path
    value = "!it cannot be read"
    if ((getline value < path) >= 0) close(path)
    else if (system("test -e \"" path "\"") != 0) value = "!this kernel has no such key"
    # Triples are separated by tabs, as fields are here.
    gsub(/[ \t]+/, " ", value)
    print $1 "\t" value
}
'

# shellcheck disable=SC2016 # $ in awk
UNIT_PROPERTIES='
# What `systemctl show` prints of each unit. Output: property, unit, value; the main process as property pid.

function flush(   p) {
    if (v["LoadState"] == "loaded") {
        for (p in v) if (p ~ /^(Limit(NOFILE|NPROC)|TasksMax)$/) print p "\t" v["Id"] "\t" v[p]
        print "pid\t" v["Id"] "\t" v["MainPID"] + 0
    }
    split("", v)
}
$0 == "" { flush(); next }
{ v[$1] = substr($0, length($1) + 2) }
END { flush() }
'

path_of() {
    old=$IFS IFS=.
    # shellcheck disable=SC2086 # split at the dots
    set -- $1
    IFS=/
    SYSCTL=$ROOT/proc/sys/$*
    IFS=$old
}

# Each knob's value now, as: kind, name, value; `!reason` where there is none.
running() {
    awk -F '\t' '$1 == "sysctl" && !seen[$2]++ { print $2 }' "$WORK/wishes" "$WORK/record" >"$WORK/keys"
    # mawk ends at the first key that it cannot read: then each key gets an awk of its own.
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
        awk -v unit="$unit" '
            BEGIN { OFS = "\t" }
            /^Max open files/ { print "limit", unit "/LimitNOFILE", $4 " " $5 }
            /^Max processes/ { print "limit", unit "/LimitNPROC", $3 " " $4 }
        ' "$ROOT/proc/$pid/limits" 2>/dev/null || :
        printf 'tasks\t%s/TasksMax\t%s\n' "$unit" "$(tasks "$pid")"
    done 3<"$WORK/daemons"
    ! systemd || awk -F '\t' '$1 != "pid" { print "unit\t" $2 "/" $1 "\t" $3 }' "$WORK/units"
}
# The units and their main processes, as: unit, pid. systemd is asked once: property, unit, value are in `units`.
daemons() {
    if systemd; then
        # shellcheck disable=SC2086 # a list of names
        systemctl show -p Id -p LoadState -p MainPID -p LimitNOFILE -p LimitNPROC -p TasksMax $UNITS 2>/dev/null |
            awk -F = "$UNIT_PROPERTIES" >"$WORK/units"
        sed -n "s/^pid$TAB//p" "$WORK/units"
        return
    fi
    # Without systemd the daemons are known by their names; the oldest of several counts.
    for file in "$ROOT"/proc/[0-9]*/comm; do
        { IFS= read -r comm <"$file"; } 2>/dev/null || continue
        file=${file%/comm}
        case $comm in
            dockerd) printf 'docker.service\t%s\n' "${file##*/}" ;;
            containerd) printf 'containerd.service\t%s\n' "${file##*/}" ;;
        esac
    done | sort -t "$TAB" -k 2,2n | awk '!seen[$1]++'
}
# The main process of a unit; 0 where it does not run.
pid_of() {
    awk -F '\t' -v unit="$1" '$1 == unit { print $2; found = 1 } END { if (!found) print 0 }' "$WORK/daemons"
}
# The lowest pids.max from a process's cgroup up to the root.
tasks() {
    group=$(awk -F: '
        $1 == 0 && $2 == "" { v2 = $3 }
        $2 ~ /(^|,)pids(,|$)/ { v1 = $3 }
        END { print v1 != "" ? "/pids" v1 : v2 }
    ' "$ROOT/proc/$1/cgroup" 2>/dev/null || :)
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
# The queueing discipline of a card, or of all its queues; `hand:` before one that somebody set by hand.
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

# The kernel's own defaults, as a network namespace shows them in which nobody set anything.
fresh() {
    [ -z "$ROOT" ] && [ "$(id -u)" -eq 0 ] && have unshare || return 0
    awk -F '\t' '$1 == "sysctl" && $6 == "netns" { print $2 }' "$TABLE" >"$WORK/netns-keys"
    unshare -n awk "$SYSCTLS" "$WORK/netns-keys" 2>/dev/null | grep -v "$TAB!" || :
}

# --- what the files of this host say for its next boot and for logins -----------------------------------------------

# shellcheck disable=SC2016 # $ in awk
BOOT='
# The value that each key gets at the next boot. Input: files of sysctl settings, in the order they are applied.
# Output: key, value, its file, and the same without the files of stacks.

# The kernel reads a leading 0 as octal and 0x as hexadecimal.
function decimal(v,   base, n, i) {
    if (v !~ /^0([0-7]+|[xX][0-9a-fA-F]+)$/) return v
    base = v ~ /[xX]/ ? 16 : 8
    for (i = base == 16 ? 3 : 2; i <= length(v); i++)
        n = n * base + index("0123456789abcdef", tolower(substr(v, i, 1))) - 1
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
        key = $0
        sub(/=.*/, "", key)
        key = norm(key)
        sub(/^-/, "", key)
        # If a slash comes before any dot, slashes are the separators.
        if (match(key, /[.\/]/) && substr(key, RSTART, 1) == "/") gsub(/\//, ".", key)
        text = $0
        sub(/^[^=]*=/, "", text)
        text = norm(text)
        # In a tuned profile `>` raises a value and never lowers it.
        if (tuned && sub(/^> */, "", text) && isnum(text) && isnum(value[key]) && ge(value[key], text)) continue
        text = members(text)
        value[key] = text
        from[key] = file
        if (file !~ /\/99-zz-stackctl-[a-z0-9-]*\.conf$/) {
            other[key] = text
            whose[key] = file
        }
    }
    close(path)
}
END { for (key in from) print key "\t" value[key] "\t" from[key] "\t" other[key] "\t" whose[key] }
'

# shellcheck disable=SC2016 # $ in awk
LOGINS='
# What a login gets. Input: the files that PAM reads, in its order.
# Output: item/domain, soft and hard, the file that decides.

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
}
'

# The files that systemd reads of a folder such as sysctl.d, in its order: by name over all places. A file in /etc hides
# one of the same name in /run, and that one hides it in /usr.
conf_files() {
    for folder in /etc /run /usr/local/lib /usr/lib /lib; do
        for file in "$ROOT$folder/$1"/*.conf; do
            # mawk would stop at a folder.
            [ ! -d "$file" ] || continue
            if [ -e "$file" ] || [ -L "$file" ]; then printf '%s\t%s\n' "${file##*/}" "$file"; fi
        done
    done | awk -F '\t' '!seen[$1]++' | sort -t "$TAB" -k 1,1 | cut -f 2
}
sysctl_files() {
    conf_files sysctl.d
    # Files that others apply later: ufw's own, and a tuned profile, unless tuned applies sysctl.d again after it.
    if grep -qs '^ENABLED=yes' "$ROOT/etc/ufw/ufw.conf"; then
        file=$(sed -n 's/^IPT_SYSCTL=//p' "$ROOT/etc/default/ufw" 2>/dev/null || :)
        echo "$ROOT${file:-/etc/ufw/sysctl.conf}"
    fi
    if grep -Eqs '^ *reapply_sysctl *= *(0|[Ff]alse|[Nn]o)' "$ROOT/etc/tuned/tuned-main.conf"; then
        for profile in $(cat "$ROOT/etc/tuned/active_profile" 2>/dev/null || :); do tuned_files "$profile" 8; done
    fi
}
# A profile's file, after those that it includes; at most $2 deep, because profiles may include each other.
tuned_files() {
    for folder in /etc/tuned /etc/tuned/profiles /usr/lib/tuned /usr/lib/tuned/profiles; do
        file=$ROOT$folder/$1/tuned.conf
        [ -e "$file" ] || continue
        [ "$2" -eq 0 ] || for profile in $(sed -n 's/^ *include *= *//p' "$file" | tr ',' ' '); do
            # In a subshell, because these variables are global.
            (tuned_files "$profile" $(($2 - 1)))
        done
        echo "$file"
        return
    done
}

# The winner for each key at the next boot, as: key, value, its file, and the same without the files of stacks.
boot() {
    sysctl_files | awk -v root="$ROOT" "$VALUES$BOOT"
}

# Modules that will be there before sysctl.d is applied: built in, or listed for the boot.
boot_modules() {
    {
        echo "$ROOT/etc/modules"
        conf_files modules-load.d
    } | while IFS= read -r file; do cat "$file" 2>/dev/null || :; done |
        awk '/^[ \t]*[^#; \t]/ { gsub(/-/, "_", $1); print $1 }'
    awk -F / '{ name = $NF; sub(/\.ko.*/, "", name); gsub(/-/, "_", name); print name }' \
        "$ROOT/lib/modules/$(uname -r)/modules.builtin" 2>/dev/null || :
}
has_module() { [ -d "$ROOT/sys/module/$1" ]; }

# What a login gets, by the files PAM reads, as: item/domain, soft and hard, the file that decides. `all` shows only
# items whose soft and hard limit are set; `others` leaves our files out, and shows a limit that is not set as 0.
logins() {
    for file in "$ROOT/etc/security/limits.conf" "$ROOT"/etc/security/limits.d/*.conf; do
        case $file in */99-stackctl-*) [ "$1" = all ] || continue ;; esac
        [ ! -f "$file" ] || echo "$file"
    done | awk -v root="$ROOT" -v which="$1" "$VALUES$LOGINS"
}

# --- what is to be done, decided in one place from what is wanted, running, recorded and set by others --------------

# shellcheck disable=SC2016 # $ in awk
WISHES='
# What all stacks on this host want together, from their limits.tsv. Of two wishes for one thing the greater value wins.
# Output: kind, name, compare, value.

function wish(kind, name, compare, value,   id) {
    id = kind "\t" name
    rule[id] = compare
    want[id] = merge(compare, want[id], value)
}

$1 ~ /^(sysctl|sysfs|irq|ring)$/ { wish($1, $2, $3, $4) }

# `*` does not cover root, and root may have more than the others.
$1 == "login" {
    wish("login", $6 "/*", $3, $4)
    wish("login", $6 "/root", $3, $4)
}

$1 == "sysctl" && $5 != "-" { wish("module", $5, "equal", "loaded") }

$2 == "net.core.default_qdisc" {
    n = split(cards, card, " ")
    for (i = 1; i <= n; i++) wish("qdisc", card[i], "equal", $4)
}

# The last field: the property, then the units that get it.
$1 == "unit" {
    n = split($6, word, " ")
    for (i = 2; i <= n; i++) {
        wish("unit", word[i] "/" word[1], $3, $4)
        if (word[1] ~ /^Limit/) wish("limit", word[i] "/" word[1], $3, $4 " " $4)
    }
}

END { for (id in want) print id "\t" rule[id] "\t" want[id] }
'

# shellcheck disable=SC2016 # $ in awk
DECIDE='
# From the gathered facts to the values that files get, and to the actions. Writes targets (kind, name, value) and
# prints actions (action, kind, name, to, from).

BEGIN { OFS = "\t" }

FILENAME ~ /\/record$/ {
    id = $1 "\t" $2
    known[id] = 1
    before[id] = norm($3)
    set_to[id] = norm($4)
    next
}
FILENAME ~ /\/running$/ { now[$1 "\t" $2] = $3 ~ /^!/ ? $3 : norm($3); next }
FILENAME ~ /\/boot$/ { other["sysctl\t" $1] = $4; next }
FILENAME ~ /\/logins-others$/ { now["login\t" $1] = $2; next }
FILENAME ~ /\/wishes$/ {
    wish[$1 "\t" $2] = norm($4)
    rule[$1 "\t" $2] = $3
    next
}

END {
    for (id in wish) {
        cur = now[id]
        # What the host has without us: where our value is still in force, the one from before it.
        base = cur
        if (known[id] && (cur == set_to[id] || id ~ /^unit/)) base = before[id]
        target = wish[id]
        if (rule[id] != "equal" && base != "" && base !~ /^!/) target = merge(rule[id], target, base)
        final = target
        if (rule[id] != "equal") final = merge(rule[id], target, other[id])
        print id, final >(work "/targets")
        wished(id, cur, target)
    }
    for (id in known) if (!(id in wish) && id !~ /^(file|dir|enabled)\t/) unwished(id)
}

# The action for a thing that a stack wants.
function wished(id, cur, target) {
    # Files alone set a login limit. What cannot be read is not set, except for a module, which is absent then.
    if (id ~ /^login/) return
    if ((cur == "" || cur ~ /^!/) && id !~ /^module/) return
    if (id ~ /^unit/) {
        if (!known[id]) print "note", id, cur, cur
    } else if (command == "rollback") {
        if (known[id] && cur == set_to[id] && cur != target) print "lower", id, target, cur
    } else if (cur != target)
        print "set", id, target, cur == "" ? "absent" : cur
    else if (!known[id])
        print "note", id, cur, cur
}

# The action for a thing that is recorded and that no stack wants any more.
function unwished(id,   cur) {
    cur = now[id]
    if (id ~ /^module/ && cur == "") cur = "absent"
    if (cur == before[id] || before[id] == set_to[id] || id ~ /^unit/) print "forget", id, "", cur
    else if (cur == set_to[id]) print "restore", id, before[id], cur
    else print "leave", id, before[id], cur
}
'

# shellcheck disable=SC2016 # $ in awk
ORDER='
# The order of actions, by rank, from the first word of the list to the last.
#
# A module brings keys, so it is loaded first, and taken away last. Rings come before interrupts, which some drivers
# place anew with the rings. A ceiling (fs.nr_open) comes before what it caps, and the default queueing discipline
# before the cards that get it. nf_conntrack_max comes after the other keys: a kernel changes it with the buckets.

BEGIN {
    order = "module ring default-qdisc ceiling sysctl conntrack-max sysfs irq limit qdisc unit"
    if (command == "rollback")
        order = "limit irq default-qdisc ceiling sysctl conntrack-max qdisc sysfs ring unit module"
    n = split(order, group, " ")
    for (i = 1; i <= n; i++) rank[group[i]] = i
}

# Fields: action, kind, name.
{
    of = $2
    if ($3 ~ /default_qdisc/) of = "default-qdisc"
    if ($3 ~ /^fs\.nr_open/) of = "ceiling"
    if ($3 ~ /nf_conntrack_max/) of = "conntrack-max"
    printf "%02d\t%s\n", rank[of], $0
}
'

# What all stacks on this host want together, as: kind, name, compare, value. The greater value wins.
wishes() {
    {
        for table in "$STACKS"/*/limits.tsv; do [ ! -f "$table" ] || cat "$table"; done
        hardware_wishes
    } | awk -F '\t' -v cards="$(cards | tr '\n' ' ')" -v units="$UNITS" "$VALUES$WISHES" | sort
}

# Gathers everything, once.
gather() {
    recorded >"$WORK/record"
    wishes >"$WORK/wishes"
    running >"$WORK/running"
    boot >"$WORK/boot"
    logins others >"$WORK/logins-others"
    awk -F '\t' '$1 == "module" && !seen[$2]++ { print $2 }' "$WORK/wishes" "$WORK/record" >"$WORK/asked-modules"
    while IFS= read -r module; do
        ! has_module "$module" || printf 'module\t%s\tloaded\n' "$module"
    done <"$WORK/asked-modules" >>"$WORK/running"
}

# From the gathered facts to `targets` (the values that files get: kind, name, value) and `actions` (action, kind, name,
# to, from). A limit is never lowered: what runs now, and what other files give at boot, count as wishes where more is
# better.
decide() {
    awk -F '\t' -v command="$command" -v work="$WORK" "$VALUES$DECIDE" \
        "$WORK/record" "$WORK/running" "$WORK/boot" "$WORK/logins-others" "$WORK/wishes" >"$WORK/actions.unsorted"
    [ -e "$WORK/targets" ] || : >"$WORK/targets"
    awk -F '\t' -v command="$command" "$ORDER" "$WORK/actions.unsorted" |
        sort -t "$TAB" -k 1,1n -k 4,4 | cut -f 2- >"$WORK/actions"
}

# --- the files below /etc -------------------------------------------------------------------------------------------

# shellcheck disable=SC2016 # $ in awk
COMPOSE='
# Rewrites one rendered file of a stack with the values that all stacks on the host get. Input: targets, then the file.

FILENAME ~ /\/targets$/ { target[$1 "\t" $2] = $3; next }
path ~ /^etc\/sysctl\.d\// && /^[a-z].* = / {
    key = $0
    sub(/ = .*/, "", key)
    if (("sysctl\t" key) in target) {
        print key " = " target["sysctl\t" key]
        next
    }
}
path ~ /^etc\/security\// && /^[^#]/ {
    split($0, word, " ")
    split(target["login\t" word[3] "/" word[1]], pair, " ")
    if (word[2] == "soft" || word[2] == "hard") {
        value = pair[word[2] == "soft" ? 1 : 2]
        print word[1], word[2], word[3], value == "9223372036854775807" ? "unlimited" : value
        next
    }
}
path ~ /^etc\/systemd\// && /^[A-Z][A-Za-z]*=/ {
    unit = path
    sub(/.*\/system\//, "", unit)
    sub(/\.d\/.*/, "", unit)
    key = $0
    sub(/=.*/, "", key)
    id = "unit\t" unit "/" key
    if (id in target) {
        print key "=" target[id]
        next
    }
}
{ print }
'

# Every stack's files, with the values all stacks agree on, below $WORK/new.
compose_files() {
    mkdir "$WORK/new"
    for stack in "$STACKS"/*; do
        [ -d "$stack/etc" ] || continue
        (cd "$stack" && find etc -type f) | while IFS= read -r path; do
            mkdir -p "$WORK/new/${path%/*}"
            awk -F '\t' -v path="$path" "$COMPOSE" "$WORK/targets" "$stack/$path" >"$WORK/new/$path"
        done
    done
    boot_unit
    hardware_files
}

no_boot_unit() { say "the unit that starts the stack at boot is not put in place: $1"; }
# The unit that starts a stack at boot names the folder that the stack is started from.
boot_unit() {
    [ "$command" = rollback ] || [ ! -f "$HERE/stackctl-$NAME.service" ] || {
        folder=${HERE%/host}
        if [ ! -f "$folder/compose.yaml" ] || [ "$folder" = "$HERE" ]; then
            no_boot_unit "there is no compose.yaml in $folder. Run this from the rendered folder's host/ on the server"
        else
            case $folder in
                *[!A-Za-z0-9/._-]*) no_boot_unit "systemd would misread the folder's name, $folder" ;;
                *)
                    mkdir -p "$STACKS/$NAME/unit" "$WORK/new/etc/systemd/system"
                    sed "s|/opt/stackctl/$NAME|$folder|g" "$HERE/stackctl-$NAME.service" >"$WORK/unit"
                    unit=$STACKS/$NAME/unit/stackctl-$NAME.service
                    cmp -s "$WORK/unit" "$unit" || whole "$unit" <"$WORK/unit"
                    ;;
            esac
        fi
    }
    for file in "$STACKS"/*/unit/*.service; do
        [ ! -f "$file" ] || { mkdir -p "$WORK/new/etc/systemd/system" && cp "$file" "$WORK/new/etc/systemd/system/"; }
    done
}

# The sum of a symlink is its target, not the content: put back, it is a symlink again.
sum() { if [ -L "$1" ]; then echo "link $(readlink "$1")"; elif [ -e "$1" ]; then cksum <"$1"; else echo absent; fi; }

# Records the folders that a file needs, so that rollback removes those that apply made.
record_folders() {
    [ -d "$ROOT$1" ] || { record_folders "${1%/*}"; record dir "$1" absent made; }
}

# Puts files of `new` that differ in place, after all of them are copied and recorded. Puts recorded files back that no
# stack wants any more.
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
        mkdir -p "$ROOT${path%/*}" 2>"$WORK/why" ||
            die "$ROOT${path%/*} cannot be made: $(tail -n 1 "$WORK/why")" \
                "make $ROOT/etc writable, then run this again; rollback undoes what was done so far"
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

# Keeps a copy of a file from before, with mode and owner. A later edit by hand is kept too, under another name. $2: the
# file's sum.
keep_copy() {
    item file "$1"
    copy=$STATE/files/$(printf %s "$1" | tr / %)
    if [ -e "$ITEM" ]; then
        remembered
        # Where both are the same we never wrote the file: it was there already, as rendered.
        if [ "$first" != "$last" ]; then
            [ "$2" != "$last" ] || return 0
            # A kill came between the record and the write, or between putting back and forgetting.
            if [ "$2" = "$first" ]; then
                if [ -e "$copy" ] || [ -L "$copy" ]; then return 0; fi
            else
                copy=$copy.edited
                say "$1 was edited after it was put in place; that text is kept as $copy"
            fi
        fi
    fi
    { mkdir -p "$STATE/files" && cp -pP "$ROOT$1" "$copy.new" && mv -f "$copy.new" "$copy"; } 2>"$WORK/why" ||
        die "$copy cannot be written: $(tail -n 1 "$WORK/why")" \
            "make room in /var/lib; nothing is replaced without a copy"
}

drop_file() {
    cur=$(sum "$ROOT$1")
    copy=$STATE/files/$(printf %s "$1" | tr / %)
    # Left by a kill while the file was written.
    [ $dry = yes ] || rm -f "$ROOT$1.new"
    if [ "$cur" = "$3" ] && [ "$cur" != "$2" ]; then
        if [ "$2" = absent ]; then change "remove $1"; else change "put back $1"; fi
        [ $dry = no ] || return 0
        if [ "$2" = absent ]; then
            rm -f "$ROOT$1" 2>"$WORK/why" ||
                die "$1 cannot be removed: $(tail -n 1 "$WORK/why")" "make it writable, then run this again"
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

# Removes folders that apply made and that are empty again. A folder that somebody uses by now stays.
drop_folders() {
    awk -F '\t' '$1 == "dir" { print $2 }' "$WORK/record" | sort -r | while IFS= read -r path; do
        if [ ! -d "$ROOT$path" ] || rmdir "$ROOT$path" 2>/dev/null || [ -z "$(ls -A "$STACKS" 2>/dev/null)" ]; then
            forget dir "$path"
        fi
    done
}

# --- doing it -------------------------------------------------------------------------------------------------------

: >"$WORK/changes"
: >"$WORK/left"
change() {
    echo x >>"$WORK/changes"
    if [ $porcelain = yes ]; then
        printf 'change\t%s\n' "$1"
    elif [ $dry = yes ]; then
        echo "would $1"
    else
        echo "$1"
    fi
}
left() { printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$WORK/left"; }

# put KIND NAME VALUE: sets one thing. A failure becomes the reason shown with its row, and the others go on.
put() {
    if why=$("put_$1" "$2" "$3" 2>&1); then return 0; fi
    why=$(printf %s "$why" | tail -n 1)
    trouble "$1" "$2" "${why:-the kernel refused it}"
    return 1
}
# Whether another module needs it.
module_is_held() {
    holders=$ROOT/sys/module/$1/holders
    [ -n "$(cat "$holders/"* 2>/dev/null; ls "$holders" 2>/dev/null)" ]
}
put_module() {
    if [ "$2" = loaded ]; then
        have modprobe || { echo "modprobe is not installed (kmod)"; return 1; }
        modprobe "$1"
    elif module_is_held "$1" || ! rmmod "$1"; then
        echo "the module is in use: reboot, or run rollback again once nothing uses it"
        return 1
    fi
}
put_sysctl() {
    path_of "$1"
    [ -e "$SYSCTL" ] || { echo "this kernel has no such key"; return 1; }
    into "$SYSCTL" "$2"
}
# Writes a value into a file of the kernel, or prints the kernel's refusal in a few words.
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
    # Replaces the qdisc by one with a handle and deletes that: the kernel then puts its default on every queue.
    tc qdisc replace dev "$1" root pfifo && tc qdisc del dev "$1" root
    got=$(qdisc "$1")
    [ "$got" = "$2" ] || { echo "the card has $got"; return 1; }
}
put_unit() { :; }

# The kernel may round a value (nf_conntrack_buckets to whole pages): the rounded value is recorded as what we set.
rounded() {
    [ "$1" = sysctl ] || return 0
    value=$(echo "$2" | awk -v root="$ROOT" "$SYSCTLS" | cut -f 2)
    case $value in '!'* | "$3" | "$4") ;; *) record sysctl "$2" "$3" "$value" ;; esac
}

# Records each action of decide. A value that is as wanted already is recorded too, before our files can be the reason
# for it.
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

# Carries out the recorded actions.
act() {
    while IFS="$TAB" read -r deed kind name to from <&3; do
        case $deed in
            set)
                case $from in
                    hand:*)
                        trouble "$kind" "$name" "somebody set ${from#hand:} by hand; it is left alone"
                        continue
                        ;;
                esac
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
        ! systemd || systemctl --quiet disable "$unit" 2>"$WORK/why" ||
            left enabled "$unit" "$(tail -n 1 "$WORK/why")"
        forget enabled "$unit"
    done 3<"$WORK/enabled"
}

# --- what was found, one line for each limit this stack asks of its host --------------------------------------------

# shellcheck disable=SC2016 # $ in awk
FINDINGS='
# One finding for each row of limits.tsv.
# Output: verdict, limit, wanted, got, depth, evidence, remedy; "-" where there is none.

BEGIN {
    OFS = "\t"
    ours = "/etc/sysctl.d/99-zz-stackctl-" name ".conf"
    apply = "on this host: `sh host/prepare.sh apply` in the rendered folder, or `stackctl host apply`"
}

FILENAME ~ /\/record$/ {
    before[$1 "\t" $2] = norm($3)
    set_to[$1 "\t" $2] = norm($4)
    next
}
FILENAME ~ /\/running$/ { now[$1 "\t" $2] = $3 ~ /^!/ ? $3 : norm($3); next }
FILENAME ~ /\/boot$/ { boot[$1] = $2; from[$1] = $3; next }
FILENAME ~ /\/fresh$/ { fresh[$1] = norm($2); next }
FILENAME ~ /\/boot-modules$/ { early[$1] = 1; next }
FILENAME ~ /\/logins$/ { login[$1] = norm($2); decides[$1] = $3; next }
FILENAME ~ /\/trouble$/ { why[$1 "\t" $2] = $3; next }

# From here on: limits.tsv.
$1 == "sysctl" { sysctl($2, $3, norm($4), $5) }
$1 == "login" { logins($2, $3, norm($4), $6) }
$1 == "unit" { unit($2, $3, norm($4), $6) }

function out(verdict, key, wanted, got, depth, evidence, remedy) {
    print verdict, key, wanted, got == "" ? "-" : got, depth, evidence, remedy == "" ? "-" : remedy
}

# Why a thing could not be read or set; empty where nothing went wrong.
function because(kind, id) { return (kind "\t" id) in why ? why[kind "\t" id] : "" }

# Whether apply never had to set it.
function untouched(kind, id) {
    return !((kind "\t" id) in before) || before[kind "\t" id] == set_to[kind "\t" id]
}

function sysctl(key, compare, wanted, module,   cur, known, running, card) {
    cur = now["sysctl\t" key]
    known = cur != "" && cur !~ /^!/
    running = "running " (cur ~ /^!/ ? "unreadable" : cur)

    # What runs now.
    if (because("module", module) != "") {
        out("short", key, wanted, cur ~ /^!/ ? "" : cur, "applied",
            "module " module ": " because("module", module),
            "run a kernel that has " module ", or take limits." key \
            " out of the stack by giving it the value this host has")
        return
    }
    if (!known) {
        out("short", key, wanted, "", "applied",
            substr(cur, 2) (module != "-" ? "; its module " module " is not loaded" : ""), apply)
        return
    }
    if (because("sysctl", key) != "") {
        out("short", key, wanted, cur, "applied", because("sysctl", key),
            "read the reason; where the kernel has a lower ceiling, set limits." key " to what it takes")
        return
    }
    if (!holds(compare, cur, wanted)) {
        out("short", key, wanted, cur, "applied", running "; at boot " at_boot(key),
            command == "apply" ? other_wish(key) : apply)
        return
    }
    if (key == "net.core.default_qdisc") {
        card = other_qdisc(wanted)
        if (card != "") {
            qdisc_short(key, wanted, cur, card)
            return
        }
        if (cards != "") running = running ", and on " cards
    }

    # What the next boot gives.
    if (!(key in boot)) {
        if (key in fresh && holds(compare, fresh[key], wanted))
            out(kept(compare, key, cur, wanted), key, wanted, cur, "applied",
                running "; no file sets it at boot, and a new network namespace has " fresh[key] \
                ": the kernel itself gives it", "")
        else
            out("short", key, wanted, cur, "declared", running " holds now, but no file sets it at boot", apply)
        return
    }
    if (!holds(compare, boot[key], wanted)) {
        out("short", key, wanted, cur, "declared", running " holds now, but at boot " at_boot(key),
            overridden(key) ? "take " key " out of " from[key] ", which overrides " ours : apply)
        return
    }
    if (module != "-" && !(module in early)) {
        out("short", key, wanted, cur, "declared",
            running " holds now, but its module " module " is not loaded at boot before sysctl.d is applied",
            apply)
        return
    }
    out(kept(compare, key, cur, wanted), key, wanted, cur, "applied", running "; at boot " at_boot(key), "")
}

# The first card with another queueing discipline than the wanted one.
function other_qdisc(wanted,   n, i, card) {
    n = split(cards, card, " ")
    for (i = 1; i <= n; i++) if (now["qdisc\t" card[i]] != wanted) return card[i]
    return ""
}
function qdisc_short(key, wanted, cur, card,   reason) {
    reason = because("qdisc", card)
    out("short", key, wanted, cur, "effective",
        "card " card " has " now["qdisc\t" card] \
        (reason != "" ? ": " reason : ", put there before the default was set"),
        reason != "" ? "tc qdisc replace dev " card " root " wanted : apply)
}

# "kept": the host had more than is wanted before apply, and still has it.
function kept(compare, key, cur, wanted) {
    return command == "apply" && compare != "equal" && cur != wanted && untouched("sysctl", key) ? "kept" : "ok"
}
function at_boot(key) {
    return key in boot ? boot[key] " from " from[key] : "whatever the kernel gives: no file sets it"
}
function overridden(key) { return from[key] != ours && ("file\t" ours) in before }
function other_wish(key) {
    return "another stack on this host wants another value, or something set it back: look for " key \
        " in the other limits.tsv and in what runs here"
}

function logins(key, compare, wanted, item,   all, root, lower, got, remedy) {
    all = login[item "/*"]
    root = login[item "/root"]
    if (all == "" || root == "") {
        out("short", key, wanted, "", "declared",
            "no file of /etc/security sets soft and hard " item " for both * and root", apply)
        return
    }
    # The lower of the two is shown.
    lower = item "/*"
    if (holds(compare, all, wanted) && (!holds(compare, root, wanted) || holds(compare, all, root)))
        lower = item "/root"
    got = login[lower]
    if (!holds(compare, got, wanted)) {
        remedy = "take " item " out of " decides[lower] " if apply does not win over it"
        if (decides[lower] ~ /stackctl/) remedy = apply
        out("short", key, wanted, got, "declared", "decided by " decides[lower], remedy)
        return
    }
    out(command == "apply" && got != wanted ? "kept" : "ok", key, wanted, got, "declared",
        "decided by " decides[lower], "")
}

# extra: the property, then the units that get it. Docker and containerd are read in any case, and once.
function unit(key, compare, wanted, extra,   w, n, i, u, p, id, live, next_start, seen, got, problem, found, same) {
    n = split("docker.service containerd.service " extra, w, " ")
    p = w[3]
    same = 1
    for (i = 1; i <= n; i++) {
        if (i == 3 || i > 3 && (w[i] == w[1] || w[i] == w[2])) continue
        u = w[i]
        id = u "/" p
        live = p == "TasksMax" ? now["tasks\t" id] : now["limit\t" id]
        # Of soft and hard: the hard limit.
        sub(/^[^ ]* /, "", live)
        next_start = now["unit\t" id]
        if (live == "" && next_start == "") {
            if (u ~ /^telemt/) seen = seen "; " u " is not on this host, its drop-in waits for it"
            continue
        }
        found += u !~ /^telemt/
        seen = seen "; " u (live != "" ? " live " live : " does not run")
        if (next_start != "") seen = seen ", at its next start " next_start
        if (live != "" && (got == "" || !ge(live, got))) got = live
        if (live != "" && !holds(compare, live, wanted))
            problem = problem "; " u (because("limit", id) != "" ? ": " because("limit", id) : " runs with " live)
        else if (next_start != "" && !holds(compare, next_start, wanted))
            problem = problem "; " u " gets " next_start " at its next start"
        if (!untouched("limit", id) || ("unit\t" id in before && before["unit\t" id] != next_start)) same = 0
    }
    sub(/^; /, "", seen)
    sub(/^; /, "", problem)
    if (!found)
        out("short", key, wanted, "", "applied", "no Docker engine on this host" (seen != "" ? "; " seen : ""),
            "install it, then run apply again")
    else if (systemd == "no")
        out("short", key, wanted, got, "applied",
            "no systemd on this host: what starts dockerd gives it its limits; " seen,
            "give dockerd " p "=" wanted " where it is started")
    else if (problem != "")
        out("short", key, wanted, got, "applied", problem " (" seen ")", command != "apply" ? apply : \
            "systemctl cat docker.service containerd.service: a later drop-in may override; then restart the unit")
    else
        out(command == "apply" && same && got != wanted ? "kept" : "ok", key, wanted, got, "applied", seen, "")
}
'

# shellcheck disable=SC2016 # $ in awk
SHOW='
# Findings for people. A remedy that many lines share is said once, below them.

{
    printf "%-6s %-52s %s", $1, $2, $4
    if ($4 != $3 && $3 != "-") printf "  (wanted %s)", $3
    print ""
    count[$1]++
}
$1 != "ok" && $1 != "kept" {
    print "         seen: " $6
    if ($7 ~ /stackctl host apply/) shared = $7
    else if ($7 != "-") print "         do:   " $7
}
END {
    if (shared != "") print "do: " shared
    for (verdict in count) line = line (line == "" ? "" : ", ") count[verdict] " " verdict
    if (line != "") print line
}
'

# shellcheck disable=SC2016 # $ in awk
CONNTRACK_FILL='
# How full the conntrack table is.

BEGIN {
    if ((getline count < (root "nf_conntrack_count")) <= 0) exit
    if ((getline most < (root "nf_conntrack_max")) <= 0 || most + 0 == 0) exit
    share = int(count * 100 / most)
    text = count " of " most " entries (" share " %)"
    if (share >= 80)
        text = text ": nearly full, and a full table drops new clients; " \
            "raise limits.net.netfilter.nf_conntrack_max, or shorten its timeouts"
    print (porcelain == "yes" ? "advice\tconntrack\t" : "conntrack: ") text
}
'

# Verdict, limit, wanted, got, depth, evidence, remedy; `-` where there is none.
findings() {
    fresh >"$WORK/fresh"
    boot_modules >"$WORK/boot-modules"
    logins all >"$WORK/logins"
    [ -e "$WORK/record" ] || : >"$WORK/record"
    manager=no
    ! systemd || manager=yes
    awk -F '\t' -v command="$command" -v name="$NAME" -v systemd=$manager -v cards="$(cards | tr '\n' ' ')" \
        "$VALUES$FINDINGS" "$WORK/record" "$WORK/running" "$WORK/boot" "$WORK/fresh" "$WORK/boot-modules" \
        "$WORK/logins" "$WORK/trouble" "$TABLE"
    hardware_findings
}

# One finding for each thing that rollback could not put back.
left_findings() {
    awk -F '\t' 'BEGIN { OFS = "\t" }
        {
            remedy = "set it by hand if you want another value"
            if ($1 == "module") remedy = "reboot, or run rollback again once nothing uses it"
            print "short", $2, "-", "-", "applied", "left as it is: " $3, remedy
        }' "$WORK/left"
}

# How full the conntrack table is: a full table drops every new client.
conntrack_fill() {
    awk -v root="$ROOT/proc/sys/net/netfilter/" -v porcelain=$porcelain "$CONNTRACK_FILL"
}

# Shows $WORK/findings; fails if any is not as wanted. It reads a file, because in a pipe nobody sees a writer that
# dies.
show() {
    if [ $porcelain = yes ]; then
        sed "s/^/finding$TAB/" "$WORK/findings"
    else
        # A remedy that many lines share is said once, below them.
        awk -F '\t' "$SHOW" "$WORK/findings"
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
    if [ $dry = yes ]; then
        rm -rf "${STACKS:?}/$NAME"
        mkdir "$STACKS/$NAME"
        cp -R "$TABLE" "$HERE/etc" "$STACKS/$NAME/"
    else
        keep_hardware
        adopt
    fi
    # Modules first: they bring keys, and a key has to be read before anything is decided about it.
    for key in $(unrecorded); do
        say "the record of $key is gone: its value now counts as the value from before"
    done
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
    [ $dry = yes ] || cmp -s "$WORK/recorded" "$STACKS/$NAME/recorded" ||
        whole "$STACKS/$NAME/recorded" <"$WORK/recorded"
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
            # If the record's folder exists, a kill ended an apply that had done nothing yet, or a rollback that had
            # done everything.
            [ ! -e "$file" ] || [ -d "${STATE%/*}" ] ||
                die "this host has no record of what was there before, but it has $file" \
                    "delete the files named *stackctl* below /etc by hand, then reboot"
        done
        say "nothing is recorded on this host: there is nothing to put back"
        [ $dry = yes ] || sweep
        finish 0
    fi
    sound_record
    [ $dry = yes ] || recover
    # These keys stay as they are, and are named.
    for key in $(unrecorded); do left sysctl "$key" "its record is gone, so what it was before is not known"; done
    retire
    rm -rf "$STACKS/.$NAME.old"
    gather
    decide
    compose_files
    record_actions
    act
    # Before its file is removed: systemctl knows no unit without a file.
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

# Removes the record when nothing is left to undo.
sweep() {
    [ -z "$(ls -A "$STACKS" 2>/dev/null)" ] || return 0
    # Items that a kill left half written would keep their folders from being empty.
    rm -f "$BEFORE"/*/*.new
    rmdir "$BEFORE"/* "$BEFORE" 2>/dev/null || :
    [ ! -d "$BEFORE" ] || return 0
    rm -rf "$STATE"
    rmdir "${STATE%/*}" 2>/dev/null || :
}

"$command"
