# Measures each segment in each build, twice and in turns. The lower of two medians counts: other load on the machine only adds to it.
"$MUSTER" target >"$WORK/target.toml"
scenario() { # NAME PREPARED_ORDERS OPERATION
    cat >"$WORK/$1.toml" <<TOML
about = "One segment: $1."
[prepare]
orders = $2
[limits]
lateness_p99_ms = 1000
[[phase]]
name = "warm-up"
duration_s = 3
counted = false
arrivals = { shape = "constant", rate = 8 }
[[phase]]
name = "steady"
duration_s = 8
arrivals = { shape = "poisson", rate = 12 }
[[operation]]
share = 1
$3
[[threshold]]
measure = "error_ratio"
at_most = 0.01
TOML
}
scenario reads 10 $'kind = "read_order"\nexpect = [200]'
scenario new-orders 0 $'kind = "place_order"\nexpect = [202]'
scenario repeats 10 $'kind = "place_order"\nexpect = [202]\nrepeat = 0.95'
for round in 1 2; do
    for build in blue green; do
        "$MUSTER" deploy orders --program ".muster/builds/$build/orders" --release "$build"
        for segment in reads new-orders repeats; do
            "$(dirname "$MUSTER")/loadtest" run "$WORK/$segment.toml" --target "$WORK/target.toml" --json "$WORK/$build-$segment-$round.json"
        done
    done
done
read -r choice recommended < <(python3 - "$WORK" <<'PY'
import json, sys
def median(build, segment):
    def of(round):
        report = json.load(open(f"{sys.argv[1]}/{build}-{segment}-{round}.json"))
        return dict(report["operations"][0]["latency_ms"])["p50"]
    return min(of(1), of(2))
other = {"blue": "green", "green": "blue"}
found = []
for segment in ["reads", "new-orders", "repeats"]:
    for build in other:
        ratio = median(build, segment) / median(other[build], segment)
        print(f"{build} {segment}: {median(build, segment):.1f} ms, {ratio:.2f} times the other build", file=sys.stderr)
        found.append((ratio, build, segment))
ratio, build, segment = max(found)
print(f"{build}-{segment}" if ratio > 1.5 else "neither", other[build])
PY
)
"$MUSTER" deploy orders --program ".muster/builds/$recommended/orders" --release "$recommended"
"$MUSTER" drill answer --choice "$choice" --component orders --kind change --cause regression-in-a-release
