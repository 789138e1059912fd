//! Rows out: the Prometheus pull endpoint.
