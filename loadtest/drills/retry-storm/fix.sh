# The partner's program goes on; the quota keeps it from taking the share of the others. The busiest other tenant sends three requests per second.
"$MUSTER" deploy orders --release quota-20 --set QUOTA_REQUESTS_PER_SECOND=20 --set QUOTA_BURST=20
