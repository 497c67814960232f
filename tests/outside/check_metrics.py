"""Reads metrics from standard input as a monitoring system does, and fails unless they are OpenMetrics with values.

Made with prometheus-client's own parser, which shares no code with what wrote them.
"""

import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

families = list(text_string_to_metric_families(sys.stdin.read()))
for family in families:
    if not family.documentation:
        sys.exit(f"{family.name} has no help")
    if not family.name.startswith("tieup_"):
        sys.exit(f"{family.name} is not one of ours")
print(f"read: {len(families)} families, {sum(len(family.samples) for family in families)} samples")
