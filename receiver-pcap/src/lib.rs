//! Capture files as if they were live.
