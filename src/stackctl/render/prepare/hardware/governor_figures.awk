# CPUs by their governor. Fields: governor, driver.

{
    count[$1]++
    cpus++
}
# intel_pstate and amd-pstate-epp raise the clock under their powersave too.
$1 ~ /^(powersave|conservative|ondemand|userspace)$/ && $2 !~ /^(intel_pstate|amd[-_]pstate[-_]epp)$/ {
    slow++
    word = $1
}
END {
    if (!cpus) {
        print "governor\tno cpufreq on this machine\t"
        exit
    }
    for (g in count) text = text (text == "" ? "" : ", ") count[g] " CPU" (count[g] == 1 ? "" : "s") " on " g
    if (slow)
        advice = slow " of " cpus " CPUs on " word " wait for their clock to rise at each burst; " \
            "`host: {governor: performance}` keeps it up"
    print "governor\t" text "\t" advice
}
