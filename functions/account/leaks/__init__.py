"""Reports of leaked keys, in the shape of GitHub's secret scanning partner programme."""
