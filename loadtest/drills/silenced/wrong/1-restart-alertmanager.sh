# fails: steady
# It keeps its silences.
"$MUSTER" restart alertmanager
