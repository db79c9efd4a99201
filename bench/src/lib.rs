//! Load for a StatsD server.
