# --- what is asked, as knobs of this machine ------------------------------------------------------------------------

# One word for each topic, for all stacks on this host: spread wins over off, performance over other governors.
asked() {
    for table in "$STACKS"/*/limits.tsv; do [ ! -f "$table" ] || cat "$table"; done | awk -F '\t' '
        $1 != "hardware" { next }
        !($2 in word) || $4 == "spread" || $4 == "performance" || $4 + 0 > word[$2] + 0 { word[$2] = $4 }
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
        [ -s "$WORK/ports" ] ||
            obstacle "$topic" "no card carries a default route" "give the host a default route, then run this again"
        while IFS= read -r card <&4; do "want_$topic" "$card" "$word"; done 4<"$WORK/ports"
    done 3<"$WORK/asked"
    cat "$WORK/hardware"
}
wanted() { printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$@" >>"$WORK/hardware"; }
obstacle() { printf '%s\t%s\t%s\n' "$@" >>"$WORK/obstacles"; }

governors() {
    for file in "$ROOT"/sys/devices/system/cpu/cpufreq/policy*/scaling_governor; do
        if [ ! -e "$file" ]; then
            obstacle governor "there is no cpufreq on this machine: its firmware or its host sets the clock" \
                "take host.governor out of stack.yaml"
            return
        fi
        known=$(line_of "${file%/*}/scaling_available_governors")
        case " $known " in
            *" $1 "*) wanted sysfs "${file#"$ROOT"/sys/}" equal "$1" governor cpu ;;
            *)
                policy=${file#"$ROOT"/sys/devices/system/cpu/cpufreq/}
                obstacle governor "the kernel has no governor $1 for $policy; it lists: $known" \
                    "ask for one of these in host.governor"
                ;;
        esac
    done
}
want_rps() {
    mask=0
    if [ "$2" != off ]; then
        mask=$(awk -v all="$(online)" "$MASKS"'BEGIN { n = members(all, c); print mask_of(c, n, 1, 1) }')
    fi
    each_queue rps "$1" rps_cpus equal "$mask"
}
want_rfs() {
    # The entries are divided by the queues; the kernel rounds up to a power of two.
    share=$(awk -v entries="$2" -v n="$(queues "$1" rx)" 'BEGIN {
        if (n < 1) n = 1
        for (share = 1; share * n < entries; share *= 2);
        print share
    }')
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
        step = queues < n ? queues : n
        for (q = 0; q < queues; q++)
            print "sysfs", "class/net/" card "/queues/tx-" q "/xps_cpus", "equal", mask_of(c, n, q % n + 1, step), \
                "xps", card
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
        # The knobs stay, so that their records stay; they read as held by irqbalance, so they are not set.
        obstacle irq "irqbalance runs and places interrupts itself; they are left to it" \
            "take host.irq out of stack.yaml, or stop it (systemctl disable --now irqbalance) and run apply again"
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
