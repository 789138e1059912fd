//! Tests of the metric rows and their renderings.
