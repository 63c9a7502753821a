# fails: steady
# The quota survives it.
"$MUSTER" restart kafka
