# --- cards, queues and processors: read and advised on; set only where stack.yaml asks ------------------------------

# awk program MASKS: masks.awk

# awk program INTERRUPTS: interrupts.awk

# The first line of a file below /sys or /proc; nothing where it cannot be read.
line_of() {
    line=""
    { IFS= read -r line <"$1" || :; } 2>/dev/null
    [ -z "$line" ] || printf '%s\n' "$line"
}

# Cards that packets really come through: the ports below a bond, VLAN or bridge that carries the default route.
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
    # A bridge may also have virtual ports, of containers and guests.
    if [ $found = no ] && { [ $# -eq 1 ] || [ -e "$ROOT/sys/class/net/$1/device" ]; }; then echo "$1"; fi
}
queues() { find "$ROOT/sys/class/net/$1/queues/" -maxdepth 1 -name "$2-*" 2>/dev/null | wc -l | tr -d ' '; }

# The processors that work is spread over: online, and not isolated from the scheduler.
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

# The interrupts of a card's queues, as: number, name. Numbers change at a boot, names do not. Interrupts that are not a
# queue's are left out, unless the card has no others.
interrupts() {
    {
        for up in . ..; do
            for file in "$ROOT/sys/class/net/$1/device/$up/msi_irqs"/*; do
                for folder in "$ROOT/proc/irq/${file##*/}"/*/; do printf '%s\n' "$folder"; done
            done
        done
        for folder in "$ROOT"/proc/irq/*/"$1"/ "$ROOT"/proc/irq/*/"$1"-*/ "$ROOT"/proc/irq/*/*-"$1"-*/; do
            printf '%s\n' "$folder"
        done
    } | awk -F / "$INTERRUPTS" | sort -n
}
irqbalance() { grep -qsx irqbalance "$ROOT"/proc/[0-9]*/comm; }

# A card's ring sizes, receive and transmit, now and at most; `-` where it has none. `!reason` where unknown.
rings() {
    if ! have ethtool; then echo '!ethtool is not installed'; return; fi
    ethtool -g "$1" 2>/dev/null | awk '
        /^Pre-set/ { at = "max" }
        /^Current/ { at = "now" }
        /^[RT]X:/ { size[at, $1] = $2 ~ /^[0-9]+$/ ? $2 : "-" }
        END {
            if (!(("now", "RX:") in size)) print "!this card shows no ring sizes"
            else print size["now", "RX:"], size["now", "TX:"], size["max", "RX:"], size["max", "TX:"]
        }'
}

# --- reading and setting them ---------------------------------------------------------------------------------------

# The value of each knob that is asked for or recorded, as: kind, name, value; `!reason` where there is none.
hardware_running() {
    held=no
    [ "$command" = rollback ] || ! irqbalance || held=yes
    cat "$WORK/wishes" "$WORK/record" |
        awk -F '\t' '$1 ~ /^(sysfs|irq|ring)$/ && !seen[$1, $2]++ { print $1 "\t" $2 }' |
        while IFS="$TAB" read -r kind name; do
            case $kind in
                sysfs)
                    value=$(line_of "$ROOT/sys/$name")
                    if [ -z "$value" ]; then
                        value="!it cannot be read"
                        [ -e "$ROOT/sys/$name" ] || value="!this kernel or card has no /sys/$name"
                    fi
                    ;;
                irq)
                    folder=$(irq_folder "$name")
                    value="!there is no interrupt of that name"
                    if [ $held = yes ]; then
                        value="!irqbalance runs"
                    elif [ -n "$folder" ]; then
                        value=$(line_of "$folder/smp_affinity_list")
                    fi
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
# Sets both rings in one call, because most drivers take the card's queues down and up again: packets are lost for a
# moment, and some drivers renew the link. One call keeps that from happening twice, and a card that has its sizes
# already is not touched. Rings come before interrupts, which some drivers place anew with the rings.
put_ring() {
    sizes=""
    [ "${2% *}" = - ] || sizes="rx ${2% *}"
    [ "${2#* }" = - ] || sizes="$sizes tx ${2#* }"
    # shellcheck disable=SC2086 # words
    ethtool -G "$1" $sizes
}
