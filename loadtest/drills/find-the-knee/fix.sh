"$MUSTER" target >"$WORK/target-of-mine.toml"
"$(dirname "$MUSTER")/loadtest" search loadtest/scenarios/orders.toml --target "$WORK/target-of-mine.toml" --from 40 --steps 5 --duration 10 --json "$WORK/search-of-mine.json"
rate=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["holds"])' "$WORK/search-of-mine.json")
"$MUSTER" drill answer --rate "$rate" --component host --kind saturation --cause processor-used-up
