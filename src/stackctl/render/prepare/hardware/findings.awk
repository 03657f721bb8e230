# One finding for each topic that this stack asks of the hardware.
# Output: verdict, key, wanted, got, depth, evidence, remedy; "-" where there is none.

BEGIN { OFS = "\t"; apply = "on this host: sh host/prepare.sh apply" }
FILENAME ~ /\/trouble$/ { why[$1 "\t" $2] = $3; next }
FILENAME ~ /\/running$/ { now[$1 "\t" $2] = $3 ~ /^!/ ? $3 : norm($3); next }
FILENAME ~ /\/asked$/ { asked[$1] = $2; next }
FILENAME ~ /\/obstacles$/ {
    if (!($1 in obstacle)) { obstacle[$1] = $2; way_out[$1] = $3 }
    next
}
FILENAME ~ /\/lost$/ { lost[$1] = $2; next }

# Fields: kind, name, compare, value, topic, card.
FILENAME ~ /\/hardware$/ {
    id = $1 "\t" $2
    all[$5]++
    if (index(on[$5] " ", " " $6 " ") == 0) on[$5] = on[$5] " " $6
    if (holds($3, now[id], $4)) held[$5]++
    else if (!($5 in bad)) {
        bad[$5] = now[id]
        which[$5] = $2 " " (now[id] ~ /^!/ ? "cannot be set: " substr(now[id], 2) : "is " now[id] ", not " $4)
        reason[$5] = why[id]
    }
    next
}

# From here on: limits.tsv.
$1 == "hardware" {
    topic = $2
    seen = held[topic] + 0 " of " all[topic] + 0 (all[topic] == 1 ? " is" : " are") " as asked on" on[topic]
    if (asked[topic] != $4 && !(topic == "rfs" && asked[topic] + 0 > $4 + 0))
        out("short", "", "applied", "another stack on this host asks for " asked[topic] ", which wins",
            "ask for the same in both stack.yaml files")
    else if (topic in obstacle)
        out("short", "", "applied", obstacle[topic] (all[topic] && held[topic] ? "; " seen : ""), way_out[topic])
    else if (held[topic] < all[topic])
        out("short", bad[topic] ~ /^!/ ? "" : bad[topic], "applied",
            seen "; " which[topic] (reason[topic] != "" ? ": " reason[topic] : ""), way(topic))
    else if (topic in lost)
        out("short", $4, "declared", seen " now, but " lost[topic],
            lost[topic] ~ /^no systemd/ ? "run prepare.sh apply at every boot, after the network is up" : apply)
    else
        out("ok", $4, "applied", seen "; at boot too", "")
}

function out(verdict, got, depth, evidence, remedy) {
    print verdict, "host." $2, $4, got == "" ? "-" : got, depth, evidence, remedy == "" ? "-" : remedy
}
function way(topic) {
    if (reason[topic] != "") return "read the reason; if it stays, take host." topic " out of stack.yaml"
    if (command != "apply") return apply
    return "look for what sets it back (tuned, irqbalance, the driver), or take host." topic " out of stack.yaml"
}
