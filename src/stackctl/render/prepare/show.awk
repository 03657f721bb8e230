# Findings for people. A remedy that many lines share is said once, below them.

{
    printf "%-6s %-52s %s", $1, $2, $4
    if ($4 != $3 && $3 != "-") printf "  (wanted %s)", $3
    print ""
    count[$1]++
}
$1 != "ok" && $1 != "kept" {
    print "         seen: " $6
    if ($7 ~ /stackctl host apply/) shared = $7
    else if ($7 != "-") print "         do:   " $7
}
END {
    if (shared != "") print "do: " shared
    for (verdict in count) line = line (line == "" ? "" : ", ") count[verdict] " " verdict
    if (line != "") print line
}
