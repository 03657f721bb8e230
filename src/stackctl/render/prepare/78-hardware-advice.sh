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
