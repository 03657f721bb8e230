# --- what this host shows now ---------------------------------------------------------------------------------------

# awk program SYSCTLS: sysctls.awk

# awk program UNIT_PROPERTIES: unit_properties.awk

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
