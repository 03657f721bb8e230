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
