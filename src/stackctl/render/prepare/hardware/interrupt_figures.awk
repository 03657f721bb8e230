# Which CPUs the queues of a card interrupt, how evenly, and whether these are near the card.

FILENAME ~ /\/interrupts$/ && FILENAME !~ /proc\/interrupts$/ { ours[$1 ":"] = 1; next }
FILENAME ~ /\/places$/ {
    n = members($0, c)
    for (i = 1; i <= n; i++) used[c[i]] = 1
    next
}

# From here on: /proc/interrupts.
FNR == 1 {
    for (i = 1; i <= NF; i++) cpu[i] = substr($i, 4)
    columns = NF
    next
}
$1 in ours {
    for (i = 1; i <= columns; i++) {
        taken[cpu[i]] += $(i + 1)
        all += $(i + 1)
    }
}

END {
    m = members(near, c)
    for (i = 1; i <= m; i++) close_by[c[i]] = 1
    for (i = 0; i < 4096; i++) if (i in used) {
        list = list (n_used++ ? "," : "") i
        if (!(i in close_by)) far = far (far == "" ? "" : ",") i
    }
    for (i in taken) if (best == "" || taken[i] > taken[best]) best = i

    text = count " of its queues on CPU" (n_used == 1 ? " " : "s ") (list == "" ? "unknown" : list)
    if (all) text = text sprintf(", CPU %s took %.0f %% of %.0f", best, 100 * taken[best] / all, all)
    text = text ", irqbalance " balance ", NUMA node " (node < 0 ? "not told" : node " with CPUs " near) \
        " of " (nodes ? nodes : 1)
    if (!count) text = "none of its own, irqbalance " balance

    if (count > 1 && n_used == 1 && cpus > 1 && balance != "runs")
        advice = count " interrupts all go to CPU " list " of " cpus \
            "; `host: {irq: spread}` gives each a CPU of its own"
    else if (count && far != "" && nodes > 1 && balance != "runs")
        advice = "CPU" (far ~ /,/ ? "s " : " ") far " not on the card\047s node " node \
            " take its interrupts; `host: {irq: spread}` keeps them on CPUs " near
    print card " interrupts\t" text "\t" advice
}
