//! How registries are reached: `registries.conf` and `certs.d`.
