# What `systemctl show` prints of each unit. Output: property, unit, value; the main process as property pid.

function flush(   p) {
    if (v["LoadState"] == "loaded") {
        for (p in v) if (p ~ /^(Limit(NOFILE|NPROC)|TasksMax)$/) print p "\t" v["Id"] "\t" v[p]
        print "pid\t" v["Id"] "\t" v["MainPID"] + 0
    }
    split("", v)
}
$0 == "" { flush(); next }
{ v[$1] = substr($0, length($1) + 2) }
END { flush() }
