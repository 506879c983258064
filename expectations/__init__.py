"""Great Expectations suites, and the gate that runs them."""

import os

os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read by Great Expectations when it is imported
