# Packets that the kernel took from cards, by CPU, from /proc/net/softnet_stat (all numbers are hexadecimal).

function value(hex,   i, v) {
    for (i = 1; i <= length(hex); i++) v = v * 16 + index("0123456789abcdef", substr(hex, i, 1)) - 1
    return v
}
function advise(text) { advice = advice (advice == "" ? "" : ". ") text }

{
    packets = value($1)
    all += packets
    dropped += value($2)
    squeezed += value($3)
    cpu = NF >= 13 ? value($13) : NR - 1
    if (NR == 1 || packets > most) {
        most = packets
        busiest = cpu
    }
}

END {
    if (!NR) exit
    text = sprintf("%.0f packets, %.0f dropped, %.0f rounds out of budget (time_squeeze)", all, dropped, squeezed)
    if (all) text = text sprintf(", CPU %d took %.0f %% of them", busiest, 100 * most / all)
    if (dropped)
        advise(sprintf("%.0f packets found the backlog of their CPU full: " \
            "net.core.netdev_max_backlog was too small, or one CPU too busy", dropped))
    # A quiet host says nothing about balance.
    if (cpus > 1 && all >= 100000 && most / all > 2 / cpus && most / all > 0.75 && steered == "no")
        advise(sprintf("CPU %d of %d took %.0f %% of the packets; `host: {rps: spread}` shares them",
            busiest, cpus, 100 * most / all))
    if (squeezed > all / 1000 && squeezed > 100)
        advise(sprintf("%.0f rounds ended with packets left: raise net.core.netdev_budget", squeezed))
    print "softnet\t" text "\t" advice
}
