# --- hardware: figures, and advice where the figures call for it ----------------------------------------------------

# awk program ADVICE: advice.awk

# awk program INTERRUPT_FIGURES: interrupt_figures.awk

# awk program GOVERNOR_FIGURES: governor_figures.awk

# awk program SOFTNET_FIGURES: softnet_figures.awk

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
    # Where there is nothing to advise, one line says so; otherwise each figure has a line, with its advice if there is
    # any.
    awk -F '\t' -v porcelain="$porcelain" -v cards="$(tr '\n' ' ' <"$WORK/ports")" -v cpus="$processors" \
        "$ADVICE" "$WORK/figures"
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
# The distinct values of several files.
distinct() { cat "$@" 2>/dev/null | sort -u | tr '\n' ' ' | sed 's/ $//'; }

# Queues, and what spreads their work over CPUs.
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
            text="$few; the card can have $most: \`ethtool -L $1 combined $more\` (the link may drop for a moment)"
            text="$text, or \`host: {rps: spread}\` shares them"
        else
            text="$few; \`host: {rps: spread}\` shares them"
        fi
    fi
    figure "$1 queues" "$rx receive and $tx transmit for $processors CPUs, at most $most" "$text"
    text=""
    if [ -n "$rps" ] && [ "$rps" != 0 ] && [ "${entries:-0}" = 0 ]; then
        text="RPS picks CPUs without regard to where a packet is read, because RFS remembers 0 flows"
        text="$text; \`host: {rfs: 32768}\` sends packets there"
    fi
    flows="RFS ${entries:-0} flows and ${flows:-0} a queue"
    figure "$1 steering" "RPS CPUs ${rps:-not in this kernel}, $flows, XPS CPUs ${xps:-none: one queue}" "$text"
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
    missed=$(cat "$net"/statistics/rx_missed_errors "$net"/statistics/rx_fifo_errors 2>/dev/null |
        awk '{ n += $1 } END { printf "%.0f", n }')
    printf '%s\n' "$sizes" | awk -v card="$1" -v missed="$missed" '{
        text = "receive " $1 " of " $3 ", transmit " $2 " of " $4 " descriptors, " missed " packets missed"
        if (missed > 0 && $1 + 0 < $3 + 0)
            advice = missed " packets were missed with a ring of " $1 " descriptors, and the card has " $3 \
                "; `host: {rings: max}` uses them"
        print card " rings\t" text "\t" advice
    }'
}

# Which CPUs a card's queues interrupt, how evenly, and whether these are near the card.
interrupt_figures() {
    interrupts "$1" >"$WORK/interrupts"
    count=$(wc -l <"$WORK/interrupts" | tr -d ' ')
    if irqbalance; then balance=runs; else balance="does not run"; fi
    node=$(node_of "$1")
    nodes=$(find "$ROOT/sys/devices/system/node" -maxdepth 1 -name 'node[0-9]*' 2>/dev/null | wc -l | tr -d ' ')
    # Where the kernel does not say which CPU it chose, all that are allowed.
    while IFS="$TAB" read -r number _; do
        at=$(line_of "$ROOT/proc/irq/$number/effective_affinity_list")
        [ -n "$at" ] || at=$(line_of "$ROOT/proc/irq/$number/smp_affinity_list")
        printf '%s\n' "$at"
    done <"$WORK/interrupts" >"$WORK/places"
    awk -v card="$1" -v count="$count" -v cpus="$processors" -v balance="$balance" -v node="$node" \
        -v nodes="$nodes" -v near="$(near "$1")" "$MASKS$INTERRUPT_FIGURES" \
        "$WORK/interrupts" "$WORK/places" "$ROOT/proc/interrupts" 2>/dev/null || :
}

governor_figures() {
    for file in "$ROOT"/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor; do
        [ ! -e "$file" ] || printf '%s %s\n' "$(line_of "$file")" "$(line_of "${file%/*}/scaling_driver")"
    done | awk "$GOVERNOR_FIGURES"
}

# Packets the kernel took from cards, by CPU: dropped for a full backlog, and rounds that ran out of budget.
softnet_figures() {
    steered=no
    while IFS= read -r card; do
        bits=$(cat "$ROOT/sys/class/net/$card"/queues/rx-*/rps_cpus 2>/dev/null | tr -d '0,\n')
        [ -z "$bits" ] || steered=yes
    done <"$WORK/ports"
    awk -v steered=$steered -v cpus="$processors" "$SOFTNET_FIGURES" "$ROOT/proc/net/softnet_stat" 2>/dev/null || :
}
