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
