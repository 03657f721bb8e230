# --- what this host shows now, and what its files say for the next boot ---------------------------------------------

path_of() { SYSCTL=$ROOT/proc/sys/$(printf %s "$1" | tr . /); }

# From keys, a line each, to: key, value; `!reason` where there is none. By awk, not by the shell's read: dash reads a
# byte at a time, and of a sysctl the kernel gives a first read alone.
# shellcheck disable=SC2016 # $ in awk
SYSCTLS='{
    path = $1
    gsub(/\./, "/", path)
    path = root "/proc/sys/" path
    value = "!it cannot be read"
    if ((getline value < path) >= 0) close(path)
    else if (system("test -e " path) != 0) value = "!this kernel has no such key"
    # Triples are separated by tabs, as fields are here.
    gsub(/[ \t]+/, " ", value)
    print $1 "\t" value
}'

# Each knob's value now, as: kind, name, value; `!reason` where there is none.
running() {
    awk -F '\t' '$1 == "sysctl" && !seen[$2]++ { print $2 }' "$WORK/wishes" "$WORK/record" >"$WORK/keys"
    awk -v root="$ROOT" "$SYSCTLS" "$WORK/keys" | sed "s/^/sysctl$TAB/"
    for unit in $UNITS; do unit_running "$unit"; done
    for card in $(cards); do printf 'qdisc\t%s\t%s\n' "$card" "$(qdisc "$card")"; done
    hardware_running
}

# The limits a unit's files give it at its next start, and those of its live process.
unit_running() {
    property=""
    if systemd && [ "$(systemctl show -p LoadState --value "$1" 2>/dev/null)" = loaded ]; then
        for property in LimitNOFILE LimitNPROC TasksMax; do
            printf 'unit\t%s/%s\t%s\n' "$1" $property "$(systemctl show -p $property --value "$1")"
        done
    fi
    pid=$(pid_of "$1")
    [ "$pid" -gt 0 ] || return 0
    awk -v unit="$1" 'BEGIN { OFS = "\t" }
        /^Max open files/ { print "limit", unit "/LimitNOFILE", $4 " " $5 }
        /^Max processes/ { print "limit", unit "/LimitNPROC", $3 " " $4 }' "$ROOT/proc/$pid/limits" 2>/dev/null || :
    printf 'tasks\t%s/TasksMax\t%s\n' "$1" "$(tasks "$pid")"
}
pid_of() {
    if systemd; then
        pid=$(systemctl show -p MainPID --value "$1" 2>/dev/null || :)
        echo "${pid:-0}"
        return
    fi
    # Without systemd the daemon is known by its name; of several, the oldest.
    case $1 in docker.service) comm=dockerd ;; containerd.service) comm=containerd ;; *) echo 0; return ;; esac
    for file in "$ROOT"/proc/[0-9]*/comm; do
        { IFS= read -r found <"$file"; } 2>/dev/null || continue
        if [ "$found" = "$comm" ]; then
            file=${file%/comm}
            echo "${file##*/}"
        fi
    done | sort -n | awk 'NR == 1 { first = $0 } END { print first + 0 }'
}
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

# Every file systemd-sysctl reads, in its order: by name over all folders, where /etc hides /run, and /run /usr.
sysctl_files() {
    for folder in /etc/sysctl.d /run/sysctl.d /usr/local/lib/sysctl.d /usr/lib/sysctl.d /lib/sysctl.d; do
        for file in "$ROOT$folder"/*.conf; do
            if [ -e "$file" ] || [ -L "$file" ]; then printf '%s\t%s\n' "${file##*/}" "$file"; fi
        done
    done | awk -F '\t' '!seen[$1]++' | sort -t "$TAB" -k 1,1 | cut -f 2
    # What is applied later, by others: ufw's own file, and a tuned profile where tuned does not give way.
    if grep -qs '^ENABLED=yes' "$ROOT/etc/ufw/ufw.conf"; then
        file=$(sed -n 's/^IPT_SYSCTL=//p' "$ROOT/etc/default/ufw" 2>/dev/null)
        echo "$ROOT${file:-/etc/ufw/sysctl.conf}"
    fi
    if grep -Eqs '^ *reapply_sysctl *= *(0|[Ff]alse|[Nn]o)' "$ROOT/etc/tuned/tuned-main.conf"; then
        profile=$(cat "$ROOT/etc/tuned/active_profile" 2>/dev/null || :)
        for folder in /etc/tuned /etc/tuned/profiles /usr/lib/tuned /usr/lib/tuned/profiles; do
            [ -z "$profile" ] || [ ! -e "$ROOT$folder/$profile/tuned.conf" ] || echo "$ROOT$folder/$profile/tuned.conf"
        done | head -n 1
    fi
}

# The winner for each key at the next boot, as: key, value, its file, and the same without the files of stacks.
# shellcheck disable=SC2016 # $ in awk
boot() {
    sysctl_files >"$WORK/sysctl-files"
    while IFS= read -r file; do
        awk "$VALUES"'
            BEGIN { OFS = "\t"; use = FILENAME !~ /tuned\.conf$/ }
            FNR == 1 { use = FILENAME !~ /tuned\.conf$/ }
            /^ *\[/ { use = /\[sysctl\]/; next }
            use && /^[ \t]*[^#; \t]/ && /=/ {
                key = $0; sub(/=.*/, "", key); key = norm(key); sub(/^-/, "", key)
                # Where a slash comes first, slashes separate.
                if (match(key, /[.\/]/) && substr(key, RSTART, 1) == "/") gsub(/\//, ".", key)
                value = $0; sub(/^[^=]*=/, "", value)
                print key, norm(value), FILENAME
            }' "$file" 2>/dev/null || :
    done <"$WORK/sysctl-files" | awk -F '\t' -v root="$ROOT" '
        BEGIN { OFS = "\t" }
        {
            file = substr($3, length(root) + 1)
            value[$1] = $2; from[$1] = file
            if (file !~ /\/99-zz-stackctl-[a-z0-9-]*\.conf$/) { other[$1] = $2; whose[$1] = file }
        }
        END { for (key in value) print key, value[key], from[key], other[key], whose[key] }'
}

# What a network namespace has that nobody set anything in: the kernel's own defaults.
fresh() {
    [ -z "$ROOT" ] && [ "$(id -u)" -eq 0 ] && have unshare || return 0
    awk -F '\t' '$1 == "sysctl" && $6 == "netns" { print $2 }' "$TABLE" >"$WORK/netns-keys"
    unshare -n awk "$SYSCTLS" "$WORK/netns-keys" 2>/dev/null | grep -v "$TAB!" || :
}

# Modules that will be there before sysctl.d is applied: built in, or listed for the boot.
boot_modules() {
    cat "$ROOT/etc/modules" "$ROOT"/etc/modules-load.d/*.conf "$ROOT"/run/modules-load.d/*.conf \
        "$ROOT"/usr/local/lib/modules-load.d/*.conf "$ROOT"/usr/lib/modules-load.d/*.conf 2>/dev/null |
        awk '/^[ \t]*[^#; \t]/ { gsub(/-/, "_", $1); print $1 }'
    awk -F / '{ name = $NF; sub(/\.ko.*/, "", name); gsub(/-/, "_", name); print name }' \
        "$ROOT/lib/modules/$(uname -r)/modules.builtin" 2>/dev/null || :
}
has_module() { [ -d "$ROOT/sys/module/$1" ]; }

# What every login gets, by the files PAM reads, as: item, soft and hard, the file that decides. $1: without ours.
logins() {
    for file in "$ROOT/etc/security/limits.conf" "$ROOT"/etc/security/limits.d/*.conf; do
        case $file in */99-stackctl-*) [ "$1" = all ] || continue ;; esac
        [ ! -r "$file" ] || echo "$file"
    done | while IFS= read -r file; do
        awk -v file="${file#"$ROOT"}" 'BEGIN { OFS = "\t" }
            { sub(/#.*/, "") }
            NF == 4 && ($1 == "*" || $1 == "root") { print $3, $1, $2, $4, file }' "$file"
    done | awk -F '\t' "$VALUES"'
        {
            if ($3 != "hard") { v[$1, $2, "soft"] = num($4) }
            if ($3 != "soft") { v[$1, $2, "hard"] = num($4) }
            items[$1] = $5
        }
        function low(item, side,   a, b) {
            a = v[item, "*", side]; b = v[item, "root", side]
            return a == "" || b == "" ? "" : ge(a, b) ? b : a
        }
        END { for (i in items) if (low(i, "soft") != "" && low(i, "hard") != "") print i "\t" low(i, "soft") " " low(i, "hard") "\t" items[i] }'
}
