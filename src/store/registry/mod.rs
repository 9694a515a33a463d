//! Registries, by the OCI distribution specification and with the quirks that they have.

pub mod conf;
pub mod credentials;
mod headers;
