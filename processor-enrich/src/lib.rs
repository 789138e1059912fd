//! Labels: caller address to carrier, User-Agent to ua_type.
