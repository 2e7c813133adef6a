"""The authorizer: keys and throttling, in one call. It never sees a body."""
