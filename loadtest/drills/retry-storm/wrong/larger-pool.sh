# fails: steady
# The connections wait for the processors.
"$MUSTER" deploy orders --release pool-30 --set DATABASE_POOL_SIZE=30
