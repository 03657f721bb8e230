# Figures, and the advice that follows from them. Where there is nothing to advise, one line says so; otherwise each
# figure has a line, with its advice if there is any. Fields: topic, figures, advice.

{
    topic[NR] = $1
    text[NR] = $2
    advice[NR] = $3
    some += $3 != ""
}
$1 ~ / queues$/ { brief = brief "; " $1 ": " $2 }
$1 == "softnet" { brief = brief "; " $2 }

END {
    if (!some) {
        line("all", "nothing to advise for " (cards == "" ? "no card with a default route, " : cards "and ") \
            cpus " CPU" (cpus == 1 ? "" : "s") brief)
        exit
    }
    for (i = 1; i <= NR; i++) line(topic[i], text[i] (advice[i] != "" ? ". " advice[i] : ""))
}

function line(topic, text) { print (porcelain == "yes" ? "advice\t" topic "\t" : "hardware " topic ": ") text }
