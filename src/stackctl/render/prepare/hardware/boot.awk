# What gives each value of cards and processors at boot. Output: topic, rules or unit, line.

BEGIN { OFS = "\t"; quote = "\047" }
FILENAME ~ /\/targets$/ { value[$1 "\t" $2] = $3; next }
FILENAME ~ /\/obstacles$/ { held[$1] = 1; next }

# From here on: kind, name, compare, value, topic, card.
{
    v = value[$1 "\t" $2]
    event = "ACTION==\"add|move\", SUBSYSTEM==\"net\", KERNEL==\"" $6 "\", "
}
$1 == "sysfs" {
    print $5, "unit", shell("echo " v " >/sys/" $2)
    if (sub("^class/net/" $6 "/", "", $2)) print $5, "rules", event "ATTR{" $2 "}=\"" v "\""
}
# $$ is systemd for $.
$1 == "irq" && !($5 in held) {
    print $5, "unit", shell("for at in /proc/irq/*/" $2 "; do echo " v " >\"$${at%%/*}/smp_affinity_list\"; done")
}
$1 == "ring" && v ~ /[0-9]/ {
    split(v, size, " ")
    words = ethtool " -G " $6
    if (size[1] != "-") words = words " rx " size[1]
    if (size[2] != "-") words = words " tx " size[2]
    print $5, "rules", event "RUN+=\"" words "\""
}

function shell(text) { return "ExecStart=-/bin/sh -c " quote text quote }
