//! The one place that reads the environment: every variable is declared here once.
