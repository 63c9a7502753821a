# Look, and leave it alone.
promtool query instant "$PROMETHEUS_URL" 'sum by (slo) (slo:error_ratio:rate30m)'
sleep 20
