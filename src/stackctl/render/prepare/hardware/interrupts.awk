# The interrupts of a queue, by the names of their folders below /proc/irq. Output: number, name.

BEGIN { OFS = "\t" }
{
    name = $(NF - 1)
    number = $(NF - 2)
}
number !~ /^[0-9]+$/ || name !~ /^[A-Za-z0-9@:._+-]+$/ || seen[name]++ { next }
{
    kind = tolower(name)
    sub(/@.*/, "", kind)
}
kind ~ /config|control|event|async|misc|mgm|mbox|cmd|ptp|fdir/ { next }
kind ~ /rx|tx|input|output|comp[0-9]|fp|ntfy|q[0-9]|-[0-9]+$/ {
    print number, name
    found = 1
    next
}
{ last = number OFS name }
# A card with one interrupt for all.
END { if (!found && last != "") print last }
